#!/usr/bin/env bash
# test-power-cut.sh - a host loses its power while jobs with `durability: power` are accepted and end.
#
#   test-power-cut.sh RUN_IN_VM
#
# The data directory lies in an image. A virtual machine mounts it, runs jobs, and is reset without a warning;
# then this machine mounts the image and starts a daemon on it: every job whose RunJob was answered is there with
# an end, and its log is a beginning of what it wrote.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.build/debug
accepted=16

# What both machines do: a daemon on the data directory, and a client of it.
start() {
    : > "$scratch/daemon.log"
    "$bin/joblet" --listen 127.0.0.1:50151 > "$scratch/daemon.log" 2>&1 &
    daemon=$!
    timeout 120 grep -q -m1 listening <(tail -n +1 -F --pid=$daemon "$scratch/daemon.log" 2>/dev/null) ||
        { cat "$scratch/daemon.log" >&2; exit 1; }
}

in_vm() {
    scratch=$1
    mount -o loop "$scratch/disk" /mnt
    export JOBLET_CONFIG_PATH=$scratch/joblet-config.yml RNX_CONFIG=$scratch/certs/rnx-config.yml
    start
    for ((i = 0; i < accepted; i++)); do
        # Every other one still runs when the power goes.
        id=$("$bin/rnx" job run --json sh -c "seq -f 'line %.0f' 500; sleep $((i % 2 * 1000))" | jq -r .job_uuid)
        # Written through to the host before the next job.
        echo "$id" >> "$scratch/accepted"
    done
    sync "$scratch/accepted"
    echo b > /proc/sysrq-trigger
    sleep 60
}

if [ "$1" = --in-vm ]; then
    in_vm "$2"
    exit
fi

vm=$1
scratch=$(mktemp -d /tmp/joblet-power.XXXXXX)
daemon=
clean_up() {
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null; } || true
    pkill -KILL -f "joblet-shim serve $scratch/" 2>/dev/null || true
    mountpoint -q "$scratch/mnt" && umount "$scratch/mnt"
    rm -rf "$scratch"
}
trap clean_up EXIT

truncate -s 1G "$scratch/disk"
mkfs.ext4 -q -F "$scratch/disk"
: > "$scratch/accepted"
configure() {
    cat > "$scratch/joblet-config.yml" <<YAML
version: "3.0"
dataDir: $1/data
runDir: $2
joblet:
  onShutdown: stop
storage:
  durability: power
security:
  certDir: $scratch/certs
YAML
}
export JOBLET_CONFIG_PATH=$scratch/joblet-config.yml RNX_CONFIG=$scratch/certs/rnx-config.yml
configure /mnt /run/joblet-power
"$bin/joblet" certs init --address 127.0.0.1:50151 > /dev/null
echo "vm: a power cut after $accepted accepted jobs"
# A machine without power ends with an error, too: what it accepted says whether it ran.
"$vm" --timeout 1800 --bind-rw "$PWD" --bind-rw "$scratch" -- "$0" --in-vm "$scratch" > "$scratch/vm.log" 2>&1 ||
    status=$?
if [ ! -s "$scratch/accepted" ] && { [ "${status:-0}" -eq 124 ] || [ "${status:-0}" -eq 125 ]; }; then
    echo "vm: no virtual machine ran (status $status)"
    exit 0
fi
if [ "$(wc -l < "$scratch/accepted")" -ne $accepted ]; then
    cat "$scratch/vm.log" "$scratch/daemon.log" >&2
    exit 1
fi

mkdir "$scratch/mnt"
mount -o loop "$scratch/disk" "$scratch/mnt"
configure "$scratch/mnt" "$scratch/run"
start
# Jobs that ran at the cut are found to be lost one by one.
for ((i = 0; i < 600; i++)); do
    "$bin/rnx" job list --json > "$scratch/jobs"
    jq -e 'all(.[]; .status == "COMPLETED" or .status == "FAILED")' "$scratch/jobs" > /dev/null && break
    sleep 0.2
done
seq -f 'line %.0f' 500 > "$scratch/written"
failures=0
while read -r id; do
    status=$(jq -r --arg id "$id" '.[] | select(.id == $id) | .status' "$scratch/jobs")
    case $status in
        COMPLETED | FAILED) ;;
        *) echo "vm: $id was accepted and is '$status'" >&2; failures=1 ;;
    esac
    "$bin/rnx" job log "$id" > "$scratch/log" 2> "$scratch/log.errors" || true
    if ! cmp -s -n "$(stat -c %s "$scratch/log")" "$scratch/log" "$scratch/written"; then
        echo "vm: the log of $id is no beginning of what it wrote:" >&2
        head -n 5 "$scratch/log" >&2
        failures=1
    fi
done < "$scratch/accepted"
[ $failures -eq 0 ] && echo "vm: $accepted accepted jobs, $(jq -r '.[].status' "$scratch/jobs" | sort | uniq -c | xargs)"
exit $failures
