#!/bin/sh
# Generates the Swift code of the API (Sources/Server/API/Generated) from its proto files.
#
#   scripts/generate-proto.sh           write it
#   scripts/generate-proto.sh --check   compare with what is committed; exit 1 and show the difference
#
# The plugins are built from the versions that Package.resolved pins. PROTOC names another compiler than `protoc`.
set -eu

cd "$(dirname "$0")/.."
protos=Sources/Server/API/Protos
generated=Sources/Server/API/Generated

case "${1-}" in
    "") output=$generated ;;
    --check) output=$(mktemp -d); trap 'rm -rf "$output"' EXIT ;;
    *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

swift build --quiet --product protoc-gen-swift
swift build --quiet --product protoc-gen-grpc-swift-2
plugins=$(swift build --show-bin-path)

mkdir -p "$output"
rm -f "$output"/*.pb.swift "$output"/*.grpc.swift
"${PROTOC:-protoc}" \
    --proto_path="$protos" \
    --plugin=protoc-gen-swift="$plugins/protoc-gen-swift" \
    --swift_out="$output" \
    --swift_opt=Visibility=Public,UseAccessLevelOnImports=true \
    --plugin=protoc-gen-grpc-swift-2="$plugins/protoc-gen-grpc-swift-2" \
    --grpc-swift-2_out="$output" \
    --grpc-swift-2_opt=Visibility=Public,UseAccessLevelOnImports=true,Server=true,Client=true \
    joblet.proto persist.proto ext.proto ipc.proto

if [ "$output" != "$generated" ]; then
    if ! diff -ru "$generated" "$output"; then
        echo "$generated is not what the proto files say: run scripts/generate-proto.sh" >&2
        exit 1
    fi
fi
