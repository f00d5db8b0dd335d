#!/usr/bin/env bash
# setup.sh - installs what the project needs and the machine lacks; asks nothing, repeats nothing.
#
# Debian packages need root; Python packages go into .venv in the project.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    # the libraries that the programs stand on
    libcurl4-openssl-dev libssl-dev zlib1g-dev libisal-dev libsqlite3-dev libseccomp-dev libyaml-dev
    # the foreign client of the wire tests
    libgrpc-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc g++ pkg-config
    # what scripts and tests run
    e2fsprogs iproute2 jq openssl procps python3 python3-venv
)

missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "setup: these packages are missing and only root can install them: ${missing[*]}" >&2
        exit 1
    fi
    echo "setup: installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v swift >/dev/null || { echo "setup: Swift 6.3 is missing: https://www.swift.org/install" >&2; exit 1; }

if [ ! -x .venv/bin/python ]; then
    echo "setup: making .venv"
    python3 -m venv .venv
fi

# The server that stands for AWS in the tests.
python_packages=('moto[server]==5.2.2')
stamp=.venv/installed
if [ "$(cat "$stamp" 2>/dev/null)" != "${python_packages[*]}" ]; then
    echo "setup: installing ${python_packages[*]} into .venv"
    .venv/bin/pip install --quiet --disable-pip-version-check "${python_packages[@]}"
    printf '%s\n' "${python_packages[*]}" >"$stamp"
fi
