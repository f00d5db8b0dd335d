#!/usr/bin/env python3
"""Proves that our proto files keep the published API.

Every row of Sources/Server/API/Protos/published.tsv (services, RPCs with their types and streaming, messages, fields
with name, number, type and label, enum values) must be in joblet.proto and persist.proto as it is there, and what we
add to a published message must be a field numbered from 1000. Each difference is printed as the row it concerns;
exit 1 if there is one.

    scripts/check-api.py [--protos FOLDER]

PROTOC names another compiler than `protoc`.
"""

import argparse
import csv
import os
import pathlib
import subprocess
import sys

FIRST_ADDITION = 1000
COLUMNS = ("kind", "parent", "name", "number", "type", "label")
# FieldDescriptorProto.Type, without groups; 11 and 14 carry a type name.
SCALARS = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool",
    9: "string", 12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
}
REPEATED = 3


def decode(data):
    """The fields of a protobuf message: number -> list of ints (varint, fixed) or bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            value = varint()
        else:
            length = {1: 8, 5: 4}.get(wire) or varint()
            value, at = data[at:at + length], at + length
        fields.setdefault(key >> 3, []).append(value)
    return fields


def text(fields, number):
    return fields[number][0].decode() if number in fields else ""


def integer(fields, number):
    return fields[number][0] if number in fields else 0


class Package:
    """The rows of one proto file, in the columns of the published table."""

    def __init__(self, descriptor):
        file = decode(descriptor)
        self.name = text(file, 2)
        self.rows = set()
        for service in map(decode, file.get(6, [])):
            self.add("service", "", text(service, 1))
            for method in map(decode, service.get(2, [])):
                types = f"{self.short(text(method, 2))} -> {self.short(text(method, 3))}"
                streaming = (integer(method, 5), integer(method, 6))
                label = {(0, 0): "unary", (0, 1): "server-stream", (1, 0): "client-stream"}.get(streaming, "stream")
                self.add("rpc", text(service, 1), text(method, 1), "", types, label)
        for message in map(decode, file.get(4, [])):
            self.add_message(message)
        for enum in map(decode, file.get(5, [])):
            self.add("enum", "", text(enum, 1))
            for value in map(decode, enum.get(2, [])):
                self.add("enumvalue", text(enum, 1), text(value, 1), str(integer(value, 2)))

    def add(self, kind, parent, name, number="", type="", label=""):
        self.rows.add((kind, parent, name, number, type, label))

    def short(self, type_name):
        return type_name.removeprefix(f".{self.name}.")

    def type_of(self, field):
        return SCALARS.get(integer(field, 5)) or self.short(text(field, 6))

    def add_message(self, message):
        name = text(message, 1)
        self.add("message", "", name)
        entries = {}
        for nested in map(decode, message.get(3, [])):
            if integer(decode(nested[7][0]) if 7 in nested else {}, 7):
                parts = {integer(field, 3): self.type_of(field) for field in map(decode, nested.get(2, []))}
                entries[f"{name}.{text(nested, 1)}"] = f"map<{parts[1]},{parts[2]}>"
        oneofs = [text(decode(oneof), 1) for oneof in message.get(8, [])]
        for field in map(decode, message.get(2, [])):
            type = self.type_of(field)
            label = "repeated" if integer(field, 4) == REPEATED else "singular"
            if type in entries:
                type, label = entries[type], "map"
            elif integer(field, 17):
                label = "optional"
            elif 9 in field:
                label = f"oneof {oneofs[integer(field, 9)]}"
            self.add("field", name, text(field, 1), str(integer(field, 3)), type, label)


def compile(protos, names):
    command = [os.environ.get("PROTOC", "protoc"), f"--proto_path={protos}", "--descriptor_set_out=/dev/stdout", *names]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [Package(file) for file in decode(output)[1]]


def main():
    default = pathlib.Path(__file__).resolve().parent.parent / "Sources/Server/API/Protos"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--protos", type=pathlib.Path, default=default, help="folder of the proto files")
    protos = parser.parse_args().protos

    published = {}
    with open(protos / "published.tsv", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            published.setdefault(row["package"], set()).add(tuple(row[column] for column in COLUMNS))

    packages = {package.name: package.rows for package in compile(protos, ["joblet.proto", "persist.proto"])}
    differences = []
    for name, rows in published.items():
        ours = packages.get(name, set())
        differences += [("missing or changed", name, row) for row in rows - ours]
        for row in ours - rows:
            if row[0] != "field" or int(row[3]) < FIRST_ADDITION:
                differences.append(("not published", name, row))

    for problem, name, row in sorted(differences):
        print(f"{problem}: {name} {' '.join(column for column in row if column)}", file=sys.stderr)
    if differences:
        return 1
    print(f"{sum(map(len, published.values()))} published rows are kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
