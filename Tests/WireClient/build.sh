#!/usr/bin/env bash
# build.sh FOLDER - builds FOLDER/wire-client from main.cpp and joblet.proto, unless it is there for these sources.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
protos=$here/../../Sources/Server/API/Protos
mkdir -p "$1"
cd "$1"

exec 9>lock
flock 9
sources=$(cat "$here/main.cpp" "$here/build.sh" "$protos/joblet.proto" | sha256sum)
if [ -x wire-client ] && [ "$(cat sources 2>/dev/null)" = "$sources" ]; then exit; fi

protoc -I "$protos" --cpp_out=. --grpc_out=. --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" joblet.proto
read -ra flags <<<"$(pkg-config --cflags grpc++ protobuf)"
read -ra libraries <<<"$(pkg-config --libs grpc++ protobuf)"
objects=()
for file in joblet.pb.cc joblet.grpc.pb.cc "$here/main.cpp"; do
    object=$(basename "${file%.*}").o
    g++ -std=c++17 -O0 -w "${flags[@]}" -I . -c "$file" -o "$object"
    objects+=("$object")
done
g++ "${objects[@]}" "${libraries[@]}" -o wire-client
echo "$sources" >sources
