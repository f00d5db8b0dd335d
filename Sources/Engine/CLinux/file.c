#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int32_t result(long value) { return value < 0 ? -errno : (int32_t)value; }

int32_t joblet_open_tree(int32_t dirfd, const char *path, int32_t recursive) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW;
    return result(syscall(SYS_open_tree, dirfd, path, recursive ? flags | AT_RECURSIVE : flags));
}

int32_t joblet_mount_setattr(int32_t fd, int32_t recursive, uint64_t set, int32_t user_namespace) {
    struct mount_attr attributes = {.attr_set = set};
    if (user_namespace >= 0) {
        attributes.attr_set |= MOUNT_ATTR_IDMAP;
        attributes.userns_fd = (uint64_t)user_namespace;
    }
    unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    return result(syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof attributes));
}

int32_t joblet_move_mount(int32_t from, int32_t to_dirfd, const char *to) {
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*to ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
    return result(syscall(SYS_move_mount, from, "", to_dirfd, to, flags));
}

int32_t joblet_reserve(int32_t fd, int64_t bytes) { return result(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes)); }

int32_t joblet_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data) {
    return result(mount(source, target, type, (unsigned long)flags, data));
}

int32_t joblet_fsopen(const char *type) { return result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)); }

int32_t joblet_umount(const char *target, int32_t flags) { return result(umount2(target, flags)); }

int32_t joblet_pivot_root(const char *new_root, const char *put_old) {
    return result(syscall(SYS_pivot_root, new_root, put_old));
}

int32_t joblet_mknod_char(const char *path, uint32_t mode, uint32_t major, uint32_t minor) {
    return result(mknod(path, S_IFCHR | mode, makedev(major, minor)));
}

int32_t joblet_openat2(int32_t dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return result(syscall(SYS_openat2, dirfd, path, &how, sizeof how));
}

int32_t joblet_open(int32_t dirfd, const char *path, int32_t flags, uint32_t mode) {
    int fd;
    do fd = openat(dirfd, path, flags | O_CLOEXEC, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return result(fd);
}

int32_t joblet_pipe(int32_t ends[2]) { return result(pipe2(ends, O_CLOEXEC)); }

int64_t joblet_splice(int32_t in, int32_t out, int64_t *out_offset, uint64_t length) {
    ssize_t moved = splice(in, NULL, out, out_offset, length, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    return moved < 0 ? -errno : moved;
}

int32_t joblet_fcntl_pipe_size(int32_t fd, int32_t size) { return result(fcntl(fd, F_SETPIPE_SZ, size)); }

int32_t joblet_bytes_in_pipe(int32_t fd) {
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
}

int32_t joblet_memfd(const char *name, int32_t executable) {
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
#ifdef MFD_EXEC
    if (executable) flags |= MFD_EXEC;
#else
    // Kernels from 6.3 on may refuse to execute a memfd made without it; older ones do not know it.
    if (executable) {
        long fd = syscall(SYS_memfd_create, name, flags | 0x10U);
        if (fd >= 0 || errno != EINVAL) return result(fd);
    }
#endif
    return result(syscall(SYS_memfd_create, name, flags));
}

int32_t joblet_memfd_seal(int32_t fd) {
    return result(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
}

void joblet_wipe(void *memory, uint64_t length) { explicit_bzero(memory, length); }
