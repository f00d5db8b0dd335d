#!/usr/bin/env bash
# bench.sh - measures the stores and the release programs; prints a table, writes bench-results.json.
#
#   ONLY=start,log       measures these groups. Of the stores alone: ingest, query, state, cloud. Of a daemon:
#                        start, jobs, log, memory, upload, rnx, querylogs, metrics, workers
#   BENCH_BIN=DIR        takes joblet, persist, state, rnx and joblet-shim from DIR instead of building them
#   BENCH_OUTPUT=FILE    writes the results there
#   DURABILITY=power     measures with that durability level (default: process)
set -euo pipefail
cd "$(dirname "$0")/.."

storage_groups=ingest,query,state,cloud
daemon_groups=start,jobs,log,memory,upload,rnx,querylogs,metrics,workers
storage= daemon=
for group in $(tr ',' ' ' <<<"${ONLY:-$storage_groups,$daemon_groups}"); do
    case ",$storage_groups, ,$daemon_groups," in
        *",$group,"*" "*) storage+=${storage:+,}$group ;;
        *" "*",$group,"*) daemon+=${daemon:+,}$group ;;
        *) echo "bench: no group $group: $storage_groups,$daemon_groups" >&2; exit 2 ;;
    esac
done
[ -z "$daemon" ] || [ "$(id -u)" -eq 0 ] ||
    { echo "bench: needs root, to make namespaces and control groups" >&2; exit 1; }

build() { swift build -c release -Xswiftc -static-stdlib --product "$1" >&2; }

work=$(mktemp -d /tmp/joblet-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
output=${BENCH_OUTPUT:-bench-results.json}
options=(--work "$work" --output "$output" --durability "${DURABILITY:-process}")
rm -f "$output"
status=0

# Each program adds its figures to the file and prints all that are in it.
if [ -n "$storage" ]; then
    build storage-bench
    .build/release/storage-bench "${options[@]}" --only "$storage" >"$work/table" || status=1
fi
if [ -n "$daemon" ]; then
    programs=${BENCH_BIN:-}
    if [ -z "$programs" ]; then
        for program in joblet persist state rnx joblet-shim; do build "$program"; done
        programs=.build/release
    fi
    build joblet-bench
    build bare-client
    "${CC:-cc}" -O2 -Wall -Wextra -o "$work/floor" Tests/Benchmarks/Floor/*.c
    .build/release/joblet-bench "${options[@]}" --only "$daemon" --bin "$(realpath "$programs")" \
        --floor "$work/floor" --client .build/release/bare-client >"$work/table" || status=1
fi
cat "$work/table"
exit $status
