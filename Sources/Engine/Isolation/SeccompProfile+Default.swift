extension SeccompProfile {
    /// What every job runs under: enough for compilers, interpreters, databases and debuggers of one's own
    /// children; nothing that builds sandboxes, changes the host or is known mainly from exploits.
    public static let `default` = SeccompProfile(
        allowed: files + memory + processes + signals + time + communication + [
            // Terminals and devices. TIOCSTI types on someone's terminal, TIOCLINUX pastes there.
            Rule(["ioctl"], when: .noneOf(argument: 1, values: [0x5412, 0x541c])),
            // What a library asks the kernel about itself and its machine.
            Rule(["uname", "sysinfo", "getrandom", "getcpu", "arch_prctl", "rseq", "membarrier", "restart_syscall"]),
            // Jobs may narrow their own sandbox further.
            Rule(["prctl", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]),
        ],
        refused: refusedCalls,
        absent: [
            // Its flags lie in memory, where no filter can read them; libc then uses clone(2).
            "clone3"
        ])

    private static let files = [
        // Opening, and the descriptor table. open_by_handle_at is refused: it walks past every mount.
        Rule([
            "open", "openat", "openat2", "creat", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "flock",
            "name_to_handle_at", "memfd_create", "memfd_secret",
        ]),
        // Contents.
        Rule([
            "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2",
            "lseek", "truncate", "ftruncate", "fallocate", "sendfile", "copy_file_range", "splice", "tee", "vmsplice",
            "fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "fadvise64", "readahead",
        ]),
        // Names and directories.
        Rule([
            "getcwd", "chdir", "fchdir", "getdents", "getdents64", "link", "linkat", "symlink", "symlinkat", "readlink",
            "readlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir",
            // Pipes and sockets in directories; the kernel itself refuses devices to a job.
            "mknod", "mknodat",
        ]),
        // Attributes.
        Rule([
            "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
            "chmod", "fchmod", "fchmodat", "chown", "lchown", "fchown", "fchownat", "umask", "utime", "utimes",
            "utimensat", "futimesat", "getxattr", "lgetxattr", "fgetxattr", "setxattr", "lsetxattr", "fsetxattr",
            "listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr",
        ]),
        // Waiting for descriptors. io_uring is refused: it makes calls that no filter sees.
        Rule([
            "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
            "epoll_wait", "epoll_wait_old", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "inotify_init",
            "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "io_setup", "io_destroy", "io_submit",
            "io_cancel", "io_getevents", "io_pgetevents",
        ]),
    ]

    private static let memory = [
        Rule([
            "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock", "mlock2", "munlock",
            "mlockall", "munlockall", "remap_file_pages", "pkey_alloc", "pkey_free", "pkey_mprotect",
            // A process's own placement on memory nodes, as numerical libraries choose it.
            "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node", "mbind",
        ])
    ]

    private static let processes = [
        // Threads and children, but no namespaces: CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET.
        Rule(["clone"], when: .without(argument: 0, mask: 0x7e02_0000)),
        Rule([
            "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "pidfd_open",
            "pidfd_send_signal", "set_tid_address", "set_robust_list", "get_robust_list", "futex", "futex_waitv",
            "set_thread_area", "get_thread_area",
        ]),
        // Who a process is: within the job's own ids.
        Rule([
            "getpid", "getppid", "gettid", "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "getuid", "geteuid",
            "getgid", "getegid", "getresuid", "getresgid", "getgroups", "setuid", "setgid", "setreuid", "setregid",
            "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capget", "capset",
        ]),
        // What it may use, and when it runs.
        Rule([
            "getrlimit", "setrlimit", "prlimit64", "getrusage", "times", "getpriority", "setpriority", "ioprio_get",
            "ioprio_set", "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getattr", "sched_setattr",
            "sched_getparam", "sched_setparam", "sched_getscheduler", "sched_setscheduler", "sched_get_priority_min",
            "sched_get_priority_max", "sched_rr_get_interval",
        ]),
        // Linux, its 32-bit and 2.6 names, and the question which it is; other bits weaken the memory layout.
        Rule(["personality"], when: .oneOf(argument: 0, values: [0, 0x8, 0x20000, 0x20008, 0xffff_ffff])),
        // A debugger of its own children; PTRACE_ATTACH and PTRACE_SEIZE take hold of others.
        Rule(["ptrace"], when: .noneOf(argument: 0, values: [0x10, 0x4206])),
    ]

    private static let signals = [
        Rule([
            "kill", "tkill", "tgkill", "pause", "alarm", "rt_sigaction", "rt_sigprocmask", "rt_sigpending",
            "rt_sigqueueinfo", "rt_tgsigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "sigaltstack",
            "signalfd", "signalfd4",
        ])
    ]

    private static let time = [
        Rule([
            "time", "gettimeofday", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "getitimer",
            "setitimer", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
            "timerfd_create", "timerfd_gettime", "timerfd_settime",
        ])
    ]

    private static let communication = [
        Rule(["pipe", "pipe2"]),
        // AF_UNIX, AF_INET, AF_INET6. Others are rarely used and often broken: AF_PACKET, AF_ALG, AF_VSOCK (which
        // leads to the hypervisor, past every network namespace), AF_CAN, AF_TIPC, AF_RDS, AF_BLUETOOTH …
        Rule(["socket"], when: .oneOf(argument: 0, values: [1, 2, 10])),
        // AF_NETLINK only for the list of interfaces and routes, which getaddrinfo(3) reads.
        Rule(["socket"], when: .socket(family: 16, protocol: 0)),
        Rule(["socketpair"], when: .oneOf(argument: 0, values: [1])),
        Rule([
            "bind", "listen", "accept", "accept4", "connect", "shutdown", "getsockname", "getpeername", "getsockopt",
            "setsockopt", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg",
        ]),
        // System V and POSIX objects live in the job's own ipc namespace.
        Rule([
            "semget", "semop", "semtimedop", "semctl", "shmget", "shmat", "shmdt", "shmctl", "msgget", "msgsnd",
            "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify",
            "mq_getsetattr",
        ]),
    ]

    private static let refusedCalls = [
        // Namespaces and mounts: the way out of a sandbox, and the surface of most escapes.
        "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig",
        "fsmount", "fspick", "mount_setattr", "open_by_handle_at",
        // Other processes' memory and descriptors.
        "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_getfd", "kcmp",
        "move_pages", "migrate_pages",
        // Keys: the kernel's key rings are not all divided by namespace.
        "add_key", "request_key", "keyctl",
        // Programs in the kernel, measurement of it, and calls made behind a filter's back.
        "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
        "fanotify_init", "fanotify_mark", "lookup_dcookie",
        // The host: its kernel, clock, name, disks, log and power.
        "init_module", "finit_module", "delete_module", "create_module", "get_kernel_syms", "query_module",
        "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog",
        "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname", "vhangup",
        "nfsservctl",
        // Hardware, and processor modes of the past.
        "iopl", "ioperm", "modify_ldt", "uselib", "ustat", "sysfs", "_sysctl",
    ]
}
