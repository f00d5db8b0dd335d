#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t joblet_loop_attach(int32_t file, char name[32]) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return -errno;
    struct loop_config config = {.fd = (uint32_t)file, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    int device = -1;
    // Between the answer and the next step somebody else may take the device.
    for (int attempt = 0; attempt < 64; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) break;
        snprintf(name, 32, "/dev/loop%d", number);
        device = open(name, O_RDWR | O_CLOEXEC);
        if (device < 0) break;
        if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
            close(control);
            return device;
        }
        int error = errno;
        close(device);
        device = -1;
        errno = error;
        if (error != EBUSY) break;
    }
    int error = errno;
    close(control);
    return -error;
}

int32_t joblet_loop_shows(int32_t device, int32_t file) {
    struct stat status;
    struct loop_info64 info;
    if (fstat(file, &status) != 0) return -errno;
    // One that its last user left a moment ago shows nothing any more.
    if (ioctl(device, LOOP_GET_STATUS64, &info) != 0) return errno == ENXIO ? 0 : -errno;
    return info.lo_device == status.st_dev && info.lo_inode == status.st_ino;
}
