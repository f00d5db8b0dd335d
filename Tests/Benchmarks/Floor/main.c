// floor sandbox DIR COUNT all|nonetwork|nomounts   one sandbox after another, the µs of each
// floor loops DIR LOOPS COUNT                      COUNT sandboxes from LOOPS loops at once, the µs of all
// floor measure OUTPUT COMMAND...                  wall µs, CPU µs, largest resident set in KB, exit code
// floor lines COUNT                                numbered lines, a write each
// floor ticks COUNT MICROSECONDS                   the time, again and again
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn void floor_fail(const char *call) {
    fprintf(stderr, "floor: %s: %s\n", call, strerror(errno));
    _exit(1);
}

int64_t floor_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int parts_named(const char *name) {
    if (strcmp(name, "nomounts") == 0) return 0;
    if (strcmp(name, "nonetwork") == 0) return FLOOR_MOUNTS;
    return FLOOR_MOUNTS | FLOOR_NETWORK;
}

static void run_sandboxes(const char *directory, long count, int parts) {
    floor_prepare(directory);
    for (long run = 0; run < count; run++) {
        int64_t start = floor_now();
        floor_run(parts);
        printf("%.1f\n", (floor_now() - start) / 1e3);
    }
}

static void run_loops(const char *directory, long loops, long count) {
    floor_prepare(directory);
    int64_t start = floor_now();
    for (long loop = 0; loop < loops; loop++) {
        pid_t pid = fork();
        if (pid < 0) floor_fail("fork");
        if (pid != 0) continue;
        for (long run = loop; run < count; run += loops) floor_run(FLOOR_MOUNTS | FLOOR_NETWORK);
        _exit(0);
    }
    for (long loop = 0; loop < loops; loop++) {
        int status;
        if (wait(&status) < 0) floor_fail("wait");
        if (status != 0) _exit(1);
    }
    printf("%.1f\n", (floor_now() - start) / 1e3);
}

int main(int argc, char *argv[]) {
    if (argc == 5 && strcmp(argv[1], "sandbox") == 0) {
        run_sandboxes(argv[2], atol(argv[3]), parts_named(argv[4]));
    } else if (argc == 5 && strcmp(argv[1], "loops") == 0) {
        run_loops(argv[2], atol(argv[3]), atol(argv[4]));
    } else if (argc >= 4 && strcmp(argv[1], "measure") == 0) {
        floor_measure(argv + 3, argv[2]);
    } else if (argc == 3 && strcmp(argv[1], "lines") == 0) {
        floor_lines(atol(argv[2]));
    } else if (argc == 4 && strcmp(argv[1], "ticks") == 0) {
        floor_ticks(atol(argv[2]), atol(argv[3]));
    } else {
        fputs("floor: see the head of main.c\n", stderr);
        return 2;
    }
    return 0;
}
