#!/usr/bin/env bash
# test.sh - builds and runs every test; arguments go to swift test.
#
# One test at a time: most start real daemons, supervisors and jobs, and some count processes, descriptors and
# control groups of the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --build-tests
swift test --skip-build --disable-xctest --no-parallel "$@"
