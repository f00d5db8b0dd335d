#!/usr/bin/env bash
# check.sh - everything a machine can say about the sources without running them.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
say() { printf '== %s\n' "$1"; }
fail() { failed=1; printf 'check: %s\n' "$1" >&2; }

say "format and lint"
swift format lint --strict --parallel $(scripts/swift-sources.sh) || fail "run make fmt"

say "file length"
long=$(scripts/swift-sources.sh | xargs wc -l | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines"}')
[ -z "$long" ] || fail "files over 600 lines: $long"

say "forbidden words"
# try! and as! end the process; print belongs to the programs; sleep is no synchronisation.
if git grep -nE '\btry!|\bas!|fatalError\(|\b(usleep|nanosleep)\(' -- 'Sources/*.swift' ':!*/Generated/*'; then
    fail "these calls are not for shipped code"
fi

say "import rules"
scripts/check-imports.sh || fail "a target imports what it must not"

say "warnings as errors, explicit dependencies"
swift build --build-tests --explicit-target-dependency-import-check error || fail "the build"

say "generated code"
scripts/generate-proto.sh --check || fail "run make proto"

say "published API"
python3 scripts/check-api.py || fail "the published protos changed"

exit $failed
