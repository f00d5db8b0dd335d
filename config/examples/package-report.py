"""Reports on a Debian package database: what is large, and what depends on what.

Usage: package-report.py STATUS, where STATUS is a copy of /var/lib/dpkg/status.
"""

import collections
import re
import sys
import time


def paragraphs(path):
    """The paragraphs of a Debian control file, as dictionaries."""
    fields, name = {}, None
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip() == "":
                if fields:
                    yield fields
                fields, name = {}, None
            elif line[0].isspace():
                if name:
                    fields[name] += line
            elif ":" in line:
                name, value = line.split(":", 1)
                fields[name] = value.strip()
    if fields:
        yield fields


def dependencies(package):
    """The first alternative of everything that a package needs."""
    text = ",".join(package.get(field, "") for field in ("Depends", "Pre-Depends"))
    names = (re.match(r"\s*([a-z0-9][a-z0-9.+-]*)", part) for part in text.split(","))
    return {match.group(1) for match in names if match}


def reach(start, graph):
    """Everything that is needed, directly or not."""
    seen, todo = set(), [start]
    while todo:
        for name in graph.get(todo.pop(), ()):
            if name in graph and name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def say(line=""):
    """Prints a line at once, slowly enough to be watched."""
    print(line, flush=True)
    time.sleep(0.15)


def main():
    installed = {
        package["Package"]: package
        for package in paragraphs(sys.argv[1])
        if "installed" in package.get("Status", "").split()
    }
    size = {name: int(package.get("Installed-Size", 0)) for name, package in installed.items()}
    graph = {name: dependencies(package) for name, package in installed.items()}
    say(f"{len(installed)} packages, {sum(size.values()) / 1024:.0f} MiB installed")

    say("\nThe largest:")
    for name in sorted(size, key=size.get, reverse=True)[:8]:
        say(f"  {size[name] / 1024:8.1f} MiB  {name}")

    users = collections.Counter(need for needs in graph.values() for need in needs if need in graph)
    say("\nMost depended upon:")
    for name, count in users.most_common(8):
        say(f"  {count:5} packages need {name}")

    say("\nPulling in the most:")
    closures = {name: reach(name, graph) for name in graph}
    for name in sorted(closures, key=lambda name: len(closures[name]), reverse=True)[:8]:
        total = sum(size[need] for need in closures[name]) / 1024
        say(f"  {len(closures[name]):5} packages, {total:7.1f} MiB  {name}")

    leaves = [name for name in graph if users[name] == 0]
    say(f"\nNothing needs {len(leaves)} of them.")


main()
