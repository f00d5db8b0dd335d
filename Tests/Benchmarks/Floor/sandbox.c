// A sandbox with the namespaces and mounts of a job, as few calls as it takes.
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

// Host ids that the sandbox's root stands for: above those that systems lend to containers.
#define FIRST_ID 1879048192L

static char root[256], etc[256], owner[64];
static int users = -1;

static pid_t clone_child(uint64_t flags) {
    struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
    pid_t pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) floor_fail("clone3");
    return pid;
}

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || write(file, text, strlen(text)) < 0) floor_fail(path);
    close(file);
}

static int mapped_users(void) {
    pid_t pid = clone_child(CLONE_NEWUSER);
    if (pid == 0) pause();
    char path[64], map[64];
    snprintf(map, sizeof map, "0 %ld 65536", FIRST_ID);
    for (const char *const *name = (const char *const[]){"uid_map", "gid_map", NULL}; *name; name++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, *name);
        write_file(path, map);
    }
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) floor_fail(path);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return file;
}

void floor_prepare(const char *directory) {
    snprintf(root, sizeof root, "%s/root", directory);
    snprintf(etc, sizeof etc, "%s/etc", directory);
    snprintf(owner, sizeof owner, "uid=%ld,gid=%ld", FIRST_ID, FIRST_ID);
    mkdir(root, 0755);
    mkdir(etc, 0755);
    char passwd[300];
    snprintf(passwd, sizeof passwd, "%s/passwd", etc);
    write_file(passwd, "root:x:0:0:root:/work:/bin/sh\n");
    users = mapped_users();
    // What is mounted here must not be seen by the host, nor by a floor that runs beside this one.
    if (unshare(CLONE_NEWNS) < 0) floor_fail("unshare");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) floor_fail("mount /");
}

static void mount_at(const char *source, const char *place, const char *type, unsigned long flags, const char *data) {
    char path[300];
    snprintf(path, sizeof path, "%s%s", root, place);
    if (mount(source, path, type, flags, data) < 0) floor_fail(path);
}

static void make_directory(const char *place) {
    char path[300];
    snprintf(path, sizeof path, "%s%s", root, place);
    if (mkdir(path, 0755) < 0 && errno != EEXIST) floor_fail(path);
}

static void make_link(const char *destination, const char *place) {
    char path[300];
    snprintf(path, sizeof path, "%s%s", root, place);
    if (symlink(destination, path) < 0) floor_fail(path);
}

static void attach(const char *source, const char *place, int mapped, int writable) {
    int tree = syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) floor_fail(source);
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    if (!writable) attributes.attr_set |= MOUNT_ATTR_RDONLY;
    if (mapped) {
        attributes.attr_set |= MOUNT_ATTR_IDMAP;
        attributes.userns_fd = users;
    }
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) floor_fail(source);
    char path[300];
    snprintf(path, sizeof path, "%s%s", root, place);
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0) floor_fail(path);
    close(tree);
}

static void attach_host(void) {
    attach("/usr", "/usr", 1, 0);
    attach(etc, "/etc", 1, 0);
    for (const char *const *path = (const char *const[]){"/bin", "/sbin", "/lib", "/lib64", NULL}; *path; path++) {
        char destination[256];
        ssize_t length = readlink(*path, destination, sizeof destination - 1);
        if (length > 0) {
            destination[length] = 0;
            make_link(destination, *path);
        } else if (access(*path, F_OK) == 0) {
            make_directory(*path);
            attach(*path, *path, 1, 0);
        }
    }
    attach("/sys/devices/system/cpu", "/sys/devices/system/cpu", 0, 0);
}

static void mount_memory(const char *place, const char *mode, const char *size, unsigned long flags) {
    char data[160];
    snprintf(data, sizeof data, "mode=%s,size=%s,%s", mode, size, owner);
    mount_at("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV | flags, data);
}

static void mount_devices(void) {
    mount_at("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
    static const struct { const char *name; unsigned major, minor; } nodes[] = {
        {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
    for (unsigned node = 0; node < sizeof nodes / sizeof nodes[0]; node++) {
        char path[300];
        snprintf(path, sizeof path, "%s/dev/%s", root, nodes[node].name);
        if (mknod(path, S_IFCHR | 0666, makedev(nodes[node].major, nodes[node].minor)) < 0) floor_fail(path);
    }
    make_directory("/dev/pts");
    make_directory("/dev/shm");
    char data[96];
    snprintf(data, sizeof data, "newinstance,ptmxmode=0666,mode=0620,gid=%ld", FIRST_ID + 5);
    mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, data);
    mount_memory("/dev/shm", "1777", "64m", MS_NOEXEC);
    make_link("/proc/self/fd", "/dev/fd");
    make_link("/proc/self/fd/0", "/dev/stdin");
    make_link("/proc/self/fd/1", "/dev/stdout");
    make_link("/proc/self/fd/2", "/dev/stderr");
    make_link("pts/ptmx", "/dev/ptmx");
    mount_at("none", "/dev", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL);
}

static void mount_processes(void) {
    static const char *const controls[] = {"asound", "bus", "fs", "irq", "pressure", "sys", "sysrq-trigger", NULL};
    static const char *const hidden[] = {
        "acpi", "interrupts", "kallsyms", "kcore", "keys", "kmsg", "latency_stats", "modules", "sched_debug", "scsi",
        "timer_list", "timer_stats", "vmallocinfo", NULL};
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    mount_at("proc", "/proc", "proc", flags, NULL);
    char path[300], null[300];
    snprintf(null, sizeof null, "%s/dev/null", root);
    struct stat status;
    for (const char *const *name = controls; *name; name++) {
        snprintf(path, sizeof path, "%s/proc/%s", root, *name);
        if (lstat(path, &status) < 0) continue;
        if (mount(path, path, NULL, MS_BIND, NULL) < 0) floor_fail(path);
        if (mount("none", path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0) floor_fail(path);
    }
    for (const char *const *name = hidden; *name; name++) {
        snprintf(path, sizeof path, "%s/proc/%s", root, *name);
        if (lstat(path, &status) < 0) continue;
        if (S_ISDIR(status.st_mode)) {
            if (mount("tmpfs", path, "tmpfs", flags | MS_RDONLY, "size=0,mode=0555") < 0) floor_fail(path);
        } else if (mount(null, path, NULL, MS_BIND, NULL) < 0) {
            floor_fail(path);
        }
    }
}

static void mount_all(void) {
    umask(0);
    mount_at("tmpfs", "", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m");
    static const char *const directories[] = {
        "/proc", "/dev", "/sys", "/sys/devices", "/sys/devices/system", "/sys/devices/system/cpu", "/tmp", "/work",
        "/run", "/var", "/var/tmp", "/root", "/etc", "/usr", NULL};
    for (const char *const *place = directories; *place; place++) make_directory(*place);
    attach_host();
    mount_devices();
    mount_processes();
    mount_memory("/tmp", "1777", "64m", 0);
    char path[300];
    snprintf(path, sizeof path, "%s/tmp", root);
    attach(path, "/var/tmp", 0, 1);
    mount_memory("/work", "0755", "256m", 0);
    mount_at("none", "", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
    if (chdir(root) < 0) floor_fail("chdir");
    if (syscall(SYS_pivot_root, ".", ".") < 0) floor_fail("pivot_root");
    if (umount2(".", MNT_DETACH) < 0) floor_fail("umount");
    if (chdir("/") < 0) floor_fail("chdir /");
}

static void raise_loopback(void) {
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING, .ifr_name = "lo"};
    if (file < 0 || ioctl(file, SIOCSIFFLAGS, &request) < 0) floor_fail("loopback");
    close(file);
}

void floor_run(int parts) {
    pid_t pid = clone_child(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
    if (pid == 0) {
        if (parts & FLOOR_MOUNTS) mount_all();
        if (setns(users, CLONE_NEWUSER) < 0) floor_fail("setns");
        if (parts & FLOOR_NETWORK) {
            if (unshare(CLONE_NEWNET) < 0) floor_fail("unshare");
            raise_loopback();
        }
        execl("/bin/true", "true", NULL);
        floor_fail("/bin/true");
    }
    int status;
    if (waitpid(pid, &status, 0) < 0) floor_fail("waitpid");
    if (status != 0) _exit(1);
}
