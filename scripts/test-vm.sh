#!/usr/bin/env bash
# test-vm.sh - what needs another machine: pure cgroup v2, and a host that loses its power.
#
# Runs the tests that are built already in throw-away virtual machines. Does nothing where there is no program to
# make one: RUN_IN_VM names it. Such a program that cannot start a machine (124, 125) is no failure of ours.
set -euo pipefail
cd "$(dirname "$0")/.."

vm=${RUN_IN_VM:-../shared/tools/run-in-vm}
if [ ! -x "$vm" ]; then
    echo "vm: no program that runs virtual machines; set RUN_IN_VM"
    exit 0
fi
packages=(qemu-system-x86 qemu-system-common busybox-static kmod)
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "vm: installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

suites='JobLifeTests|LimitTests|HostCapabilitiesTests|StopTests'
echo "vm: $suites on cgroup v2"
status=0
"$vm" --timeout 900 --bind-rw "$PWD" -- .build/debug/jobletPackageTests.xctest --testing-library swift-testing \
    --no-parallel --filter "$suites" || status=$?
case $status in
    0) ;;
    124 | 125)
        echo "vm: no virtual machine ran (status $status)"
        exit 0
        ;;
    *) exit "$status" ;;
esac
scripts/test-power-cut.sh "$vm"
