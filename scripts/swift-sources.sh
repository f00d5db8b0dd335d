#!/usr/bin/env bash
# swift-sources.sh - the Swift sources that people write: everything but generated code.
cd "$(dirname "$0")/.."
echo Package.swift
git ls-files --cached --others --exclude-standard '*.swift' | grep -v -e '/Generated/' -e '^Package.swift$' |
    while read -r file; do [ -e "$file" ] && echo "$file"; done
