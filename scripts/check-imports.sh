#!/usr/bin/env bash
# check-imports.sh - who may import whom, beyond what Package.swift enforces: libraries of the system.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
# forbid FOLDER PATTERN [EXCLUDED-FOLDER...]: no Swift file below FOLDER may import a module matching PATTERN.
forbid() {
    local folder=$1 pattern=$2 exclude=()
    shift 2
    for path in "$@"; do exclude+=(":!$path"); done
    if git grep -nE "^(@[a-z]+ )*((public|package|internal|private|fileprivate) )?import (struct |class |enum |func )?($pattern)\b" \
        -- "$folder/*.swift" "${exclude[@]}"; then
        echo "check-imports: $folder must not import these" >&2
        status=1
    fi
}
forbid Sources/Storage 'GRPC.*|NIO.*|Engine|Server|Backends|Sandbox|Kernel|Outbox|C[A-Z].*|GRDB|Logging'
forbid Sources/Backends 'GRPC.*|NIO.*|Engine|Server|Sandbox|Kernel|Outbox|Jobl.*'
forbid Sources/Backends 'CloudBackends|CCurl|CCrypto' Sources/Backends/AWS
forbid Sources/Backends/AWS 'Foundation|GRDB'
forbid Sources/Engine/Kernel 'Foundation.*|GRPC.*|NIO.*|Storage|Engine|Sandbox|Outbox'
forbid Sources/Engine/Outbox 'Foundation.*|GRPC.*|NIO.*|Storage|Engine|Sandbox'
forbid Sources/Engine/Sandbox 'Foundation.*|GRPC.*|NIO.*|Storage|Engine|Outbox'
forbid Sources/Engine/Shim 'Foundation.*|GRPC.*|NIO.*|Storage|Engine'
forbid Sources/Engine 'GRPC.*|NIO.*|SwiftProtobuf|Backends|CloudBackends|Server|Jobl.*'
forbid Sources/Server 'Backends|CloudBackends|ArgumentParser|GRDB' Sources/Server/Main
# Foundation brings ICU: 30 MB in each program that links it.
forbid Sources/rnx 'Foundation'
forbid Sources/Engine 'Foundation'
forbid Sources/Backends 'Foundation'
forbid Sources/Server 'Foundation' Sources/Server/API Sources/Server/Main/{StorageCommands,persist,state}
forbid Sources/Server/YAML 'Foundation.*|GRPC.*|NIO.*|Storage|Engine|Jobl.*'
forbid Sources/rnx 'Server|Engine|Storage|Backends|CloudBackends|Kernel|Sandbox|Outbox'
exit $status
