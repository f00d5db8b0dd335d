#!/usr/bin/env bash
# test.sh - builds and runs every test; arguments go to swift test.
#
# One test at a time: most start real daemons, supervisors and jobs, and some count processes, descriptors and
# control groups of the machine. What failed is said again at the end, where a reader of a long log looks first.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --build-tests
log=.build/test.log
if ! swift test --skip-build --disable-xctest --no-parallel "$@" 2>&1 | tee "$log"; then
    printf '\nFailed:\n'
    grep -a '✘' "$log" || tail -n 40 "$log"
    exit 1
fi
