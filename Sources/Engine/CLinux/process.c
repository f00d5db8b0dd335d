#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int32_t result(long value) { return value < 0 ? -errno : (int32_t)value; }

int32_t joblet_clone3(uint64_t flags, int32_t cgroup_fd, int32_t *pidfd) {
    struct clone_args arguments = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    if (cgroup_fd >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)cgroup_fd;
    }
    return result(syscall(SYS_clone3, &arguments, sizeof arguments));
}

int32_t joblet_unshare(uint64_t flags) { return result(unshare((int)flags)); }
int32_t joblet_setns(int32_t fd, uint64_t flags) { return result(setns(fd, (int)flags)); }

int32_t joblet_pidfd_open(int32_t pid) { return result(syscall(SYS_pidfd_open, pid, 0)); }

int32_t joblet_pidfd_send_signal(int32_t pidfd, int32_t signal) {
    return result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int32_t joblet_wait_pidfd(int32_t pidfd, int32_t keep, int32_t *code, int32_t *status, int32_t *pid) {
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | (keep ? WNOWAIT : 0)) < 0) return -errno;
    if (info.si_pid == 0) return 0;
    *code = info.si_code;
    *status = info.si_status;
    *pid = info.si_pid;
    return 1;
}

void joblet_reset_signals(void) {
    // The kernel's own structure: all zero is SIG_DFL without flags.
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } action = {0};
    for (int signal = 1; signal <= 64; signal++) syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &action.mask, NULL, sizeof action.mask);
}

int32_t joblet_execveat(int32_t fd, const char *path, char *const argv[], char *const envp[], int32_t flags) {
    return result(syscall(SYS_execveat, fd, path, argv, envp, flags));
}

int32_t joblet_prctl(int32_t option, uint64_t arg2, uint64_t arg3) {
    return result(prctl(option, arg2, arg3, 0UL, 0UL));
}

int32_t joblet_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return result(syscall(SYS_capset, &header, data));
}

int32_t joblet_install_seccomp(const void *filter, uint16_t instructions) {
    struct sock_fprog program = {.len = instructions, .filter = (struct sock_filter *)filter};
    return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

int32_t joblet_drop_groups(void) { return result(syscall(SYS_setgroups, 0, NULL)); }

int32_t joblet_set_ids(uint32_t uid, uint32_t gid) {
    if (syscall(SYS_setresgid, gid, gid, gid) < 0) return -errno;
    return result(syscall(SYS_setresuid, uid, uid, uid));
}

int32_t joblet_set_rlimit(int32_t resource, uint64_t soft, uint64_t hard) {
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return result(setrlimit((__rlimit_resource_t)resource, &limit));
}

int32_t joblet_close_range(uint32_t first, uint32_t last, uint32_t flags) {
    return result(syscall(SYS_close_range, first, last, flags));
}

int32_t joblet_run(const char *path, char *const argv[]) {
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd <= 2 && !error; fd++) {
        error = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    pid_t pid;
    if (!error) error = posix_spawn(&pid, path, &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (error) return -error;
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int32_t joblet_spawn_close_from(void *file_actions, int32_t first) {
    return posix_spawn_file_actions_addclosefrom_np(file_actions, first);
}
