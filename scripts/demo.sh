#!/usr/bin/env bash
# demo.sh - a real job on this machine: its log live, a daemon killed in the middle, history afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "demo: needs root, to make namespaces and control groups" >&2; exit 1; }

say() { printf '\n\033[1m# %s\033[0m\n' "$1"; }
run() { printf '$ %s\n' "$*"; "$@"; }

say "Building (the first time this takes a while)"
scripts/build.sh joblet rnx joblet-shim

data=$(mktemp -d /tmp/joblet-demo.XXXXXX)
daemon=
clean_up() {
    # The daemon stops its jobs, then the supervisor has nothing left and is ended too.
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null; } || true
    pkill -KILL -f "joblet-shim serve $data/" 2>/dev/null || true
    rm -rf "$data"
}
trap clean_up EXIT
export RNX_CONFIG=$data/certs/rnx-config.yml JOBLET_CONFIG_PATH=$data/joblet-config.yml
rnx=bin/rnx

start() {
    : > "$data/daemon.log"
    bin/joblet --listen 127.0.0.1:"$port" >> "$data/daemon.log" 2>&1 &
    daemon=$!
    # The daemon says when it takes connections.
    if ! timeout 30 grep -q -m1 listening <(tail -n +1 -F --pid=$daemon "$data/daemon.log" 2>/dev/null); then
        cat "$data/daemon.log" >&2
        exit 1
    fi
    grep -m1 listening "$data/daemon.log"
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: "3.0"\ndataDir: %s\nrunDir: %s\njoblet:\n  onShutdown: stop\n' "$data" "$data/run" > "$data/joblet-config.yml"

say "Certificates: an authority, a server, an admin and a viewer"
run bin/joblet certs init --address 127.0.0.1:"$port"

say "The daemon, on its embedded storage"
run start

say "A job: which packages of this machine are large, and what depends on what"
run $rnx job run --name packages --upload=config/examples/package-report.py --upload=/var/lib/dpkg/status \
    python3 package-report.py status | tee "$data/started"
job=$(sed -n 's/^ID: //p' "$data/started")

say "Its log, live, while the daemon is killed in the middle and started again"
$rnx job log "$job" > "$data/live" 2> "$data/live.errors" &
viewer=$!
timeout 30 grep -q -m1 'Most depended' <(tail -n +1 -F --pid=$viewer "$data/live" 2>/dev/null) || true
run kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
run start
run $rnx job status "$job" | sed -n '1,4p'
wait "$viewer"
printf '$ rnx job log %s    # the viewer that was there all the time\n' "$job"
cat "$data/live.errors" "$data/live"

say "The job ran on without a daemon, and nothing is missing: the stored log is the same"
run $rnx job status "$job" | sed -n '1,5p'
$rnx job log "$job" 2>/dev/null | cmp - "$data/live" && echo "identical: $(wc -c < "$data/live") bytes"

say "What it used, from its first to its last moment"
$rnx job metrics "$job" > "$data/samples"
printf '$ rnx job metrics %s\n' "$job"
cat "$data/samples"
printf '$ rnx --json job metrics %s | tail -n 1\n' "$job"
$rnx --json job metrics "$job" | tail -n 1

say "After one more restart everything comes from the store"
kill "$daemon"
wait "$daemon" || true
run start
run $rnx job list
run $rnx job log "$job" --tail 3
