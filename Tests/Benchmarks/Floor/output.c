// What a job writes, and what a command costs.
#define _GNU_SOURCE
#include "floor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void floor_measure(char *const argv[], const char *output) {
    int file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) floor_fail(output);
    int64_t start = floor_now();
    // This process is small, so that its memory is not what getrusage(2) reports for a small child.
    pid_t pid = fork();
    if (pid < 0) floor_fail("fork");
    if (pid == 0) {
        dup2(file, 1);
        execvp(argv[0], argv);
        floor_fail(argv[0]);
    }
    int status;
    struct rusage usage;
    if (wait4(pid, &status, 0, &usage) < 0) floor_fail("wait4");
    double cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    printf("%.1f\n%.1f\n%ld\n%d\n", (floor_now() - start) / 1e3, cpu, usage.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void floor_lines(long count) {
    char line[80];
    for (long number = 0; number < count; number++) {
        int length = snprintf(line, sizeof line, "%09ld the quick brown fox jumps over the lazy dog and again\n", number);
        if (write(1, line, length) != length) floor_fail("write");
    }
}

void floor_ticks(long count, long microseconds) {
    struct timespec pause = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000};
    for (long tick = 0; tick < count; tick++) {
        // A clock's tick is what is asked for here, not the end of something.
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        char line[32];
        int length = snprintf(line, sizeof line, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
        if (write(1, line, length) != length) floor_fail("write");
    }
}
