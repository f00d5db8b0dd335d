#!/usr/bin/env bash
# build.sh PROGRAM... - builds programs in release, with the static Swift runtime, into bin/.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
for program in "$@"; do
    swift build -c release -Xswiftc -static-stdlib --product "$program"
    # Replaced by a rename: a daemon that runs from bin/ keeps its file.
    install -m 0755 ".build/release/$program" "bin/.$program.new"
    strip --strip-debug "bin/.$program.new"
    mv "bin/.$program.new" "bin/$program"
done
