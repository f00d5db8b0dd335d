#!/usr/bin/env bash
# test.sh - builds and runs every test.
set -euo pipefail
cd "$(dirname "$0")/.."
# A killed earlier run may have left jobs: they belong to shims below the tests' own directories.
swift build --build-tests
swift test --skip-build --disable-xctest "$@"
