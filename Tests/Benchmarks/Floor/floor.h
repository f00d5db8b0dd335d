// The floor that the benchmarks compare with: what the same work costs without Joblet.
#pragma once

#include <stdint.h>

// What a sandbox of the floor has beyond its namespaces for processes, mounts, IPC and the host name.
enum {
    FLOOR_MOUNTS = 1,   // a root of its own with the mounts of a job
    FLOOR_NETWORK = 2,  // a network namespace with its loopback up
};

// Ends the program with the call's name and errno.
_Noreturn void floor_fail(const char *call);

// Nanoseconds of CLOCK_MONOTONIC.
int64_t floor_now(void);

// Prepares what a node has once: a private mount namespace, a directory for roots, a mapped user namespace.
void floor_prepare(const char *directory);

// Runs /bin/true in a sandbox with these parts and waits for its end.
void floor_run(int parts);

// Runs `argv` with its output to `output` and prints its wall time in µs, its CPU time in µs and its largest
// resident set in KB, then its exit code.
void floor_measure(char *const argv[], const char *output);

// Writes `count` numbered lines of 64 bytes to standard output, a write each.
void floor_lines(long count);

// Writes the time of CLOCK_REALTIME in ns as a line, `count` times, once every `microseconds`.
void floor_ticks(long count, long microseconds);
