#!/usr/bin/env bash
# bench.sh - measures the release programs; prints a table, writes bench-results.json.
#
#   ONLY=start,log       measures these groups: start, jobs, log, memory, upload, rnx
#   BENCH_BIN=DIR        takes joblet, rnx and joblet-shim from DIR instead of building them
#   BENCH_OUTPUT=FILE    writes the results there
#   DURABILITY=power     measures with that durability level (default: process)
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "bench: needs root, to make namespaces and control groups" >&2; exit 1; }

build() { swift build -c release -Xswiftc -static-stdlib --product "$1" >&2; }

programs=${BENCH_BIN:-}
if [ -z "$programs" ]; then
    for program in joblet rnx joblet-shim; do build "$program"; done
    programs=.build/release
fi
build joblet-bench

work=$(mktemp -d /tmp/joblet-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -O2 -Wall -Wextra -o "$work/floor" Tests/Benchmarks/Floor/*.c
.build/release/joblet-bench --bin "$(realpath "$programs")" --floor "$work/floor" --work "$work" \
    --output "${BENCH_OUTPUT:-bench-results.json}" --durability "${DURABILITY:-process}" --only "${ONLY:-}"
