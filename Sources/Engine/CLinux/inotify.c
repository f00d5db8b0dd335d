#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

int32_t joblet_inotify_create(void) {
    int fd = inotify_init1(IN_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int32_t joblet_inotify_watch(int32_t inotify, const char *path) {
    int watch = inotify_add_watch(inotify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR);
    return watch < 0 ? -errno : watch;
}

int32_t joblet_inotify_read(int32_t inotify, int32_t watches[512]) {
    // 16 bytes is the smallest event, so the buffer never holds more than 256.
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t size;
    do size = read(inotify, buffer, sizeof buffer);
    while (size < 0 && errno == EINTR);
    if (size < 0) return -errno;
    int32_t count = 0;
    for (char *next = buffer; next < buffer + size;) {
        struct inotify_event *event = (struct inotify_event *)next;
        watches[2 * count] = event->mask & IN_Q_OVERFLOW ? -1 : event->wd;
        watches[2 * count + 1] = (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0;
        count++;
        next += sizeof *event + event->len;
    }
    return count;
}
