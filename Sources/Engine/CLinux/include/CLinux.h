// Linux calls that the Glibc module does not offer to Swift, or offers only as macros or variadic
// functions. Each returns a value or -errno. Only stdint types here: including system headers with
// _GNU_SOURCE from a module header breaks the Glibc module.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Namespaces, clone3(2). In the child clone3 returns 0.
#define JOBLET_CLONE_NEWCGROUP 0x02000000u
#define JOBLET_CLONE_NEWUTS 0x04000000u
#define JOBLET_CLONE_NEWIPC 0x08000000u
#define JOBLET_CLONE_NEWUSER 0x10000000u
#define JOBLET_CLONE_NEWPID 0x20000000u
#define JOBLET_CLONE_NEWNET 0x40000000u
#define JOBLET_CLONE_NEWNS 0x00020000u
int32_t joblet_clone3(uint64_t flags, int32_t cgroup_fd, int32_t *pidfd);
int32_t joblet_unshare(uint64_t flags);
int32_t joblet_setns(int32_t fd, uint64_t flags);

// Processes. Options of prctl(2) and flags that glibc's Swift module leaves out.
#define JOBLET_PR_SET_PDEATHSIG 1
#define JOBLET_PR_SET_DUMPABLE 4
#define JOBLET_PR_CAPBSET_DROP 24
#define JOBLET_PR_SET_NO_NEW_PRIVS 38
#define JOBLET_AT_EMPTY_PATH 0x1000
int32_t joblet_pidfd_open(int32_t pid);
int32_t joblet_pidfd_send_signal(int32_t pidfd, int32_t signal);
// waitid(2) on a pidfd without blocking: 1 and fills in code (CLD_*), status and pid if the process
// has ended, 0 if it has not. keep leaves it waitable (WNOWAIT).
int32_t joblet_wait_pidfd(int32_t pidfd, int32_t keep, int32_t *code, int32_t *status, int32_t *pid);
// Unblocks every signal and gives each its default action, those that the C library keeps for itself too.
void joblet_reset_signals(void);
int32_t joblet_execveat(int32_t fd, const char *path, char *const argv[], char *const envp[], int32_t flags);
// Runs a program to its end without any of our descriptors; returns its exit code, 128 more than the signal that ended it.
int32_t joblet_run(const char *path, char *const argv[]);
// Adds to posix_spawn_file_actions_t that the child closes every descriptor from first on; 0 or an error number.
int32_t joblet_spawn_close_from(void *file_actions, int32_t first);
int32_t joblet_prctl(int32_t option, uint64_t arg2, uint64_t arg3);
int32_t joblet_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
int32_t joblet_install_seccomp(const void *filter, uint16_t instructions);
// Raw system calls: glibc's wrappers signal every thread, which needs more than a cloned child has.
int32_t joblet_drop_groups(void);
int32_t joblet_set_ids(uint32_t uid, uint32_t gid);
int32_t joblet_set_rlimit(int32_t resource, uint64_t soft, uint64_t hard);
int32_t joblet_close_range(uint32_t first, uint32_t last, uint32_t flags);

// Mounts.
#define JOBLET_OPEN_TREE_CLONE 1u
#define JOBLET_MOUNT_ATTR_RDONLY 0x1u
#define JOBLET_MOUNT_ATTR_NOSUID 0x2u
#define JOBLET_MOUNT_ATTR_NODEV 0x4u
#define JOBLET_MOUNT_ATTR_NOEXEC 0x8u
#define JOBLET_MOUNT_ATTR_IDMAP 0x00100000u
// A detached copy of the tree at path, as a descriptor.
int32_t joblet_open_tree(int32_t dirfd, const char *path, int32_t recursive);
int32_t joblet_mount_setattr(int32_t fd, int32_t recursive, uint64_t set, int32_t user_namespace);
// Attaches a detached mount at the path to, or on to_dirfd itself where that is empty.
int32_t joblet_move_mount(int32_t from, int32_t to_dirfd, const char *to);
int32_t joblet_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data);
// A context for mounting a file system of this type: loads its module, mounts nothing.
int32_t joblet_fsopen(const char *type);
int32_t joblet_umount(const char *target, int32_t flags);
// Makes the file a block device until its last user is gone (loop(4)); returns the open device and fills in its name.
int32_t joblet_loop_attach(int32_t file, char name[32]);
// Whether an open loop device shows the open file: 1 or 0.
int32_t joblet_loop_shows(int32_t device, int32_t file);
int32_t joblet_pivot_root(const char *new_root, const char *put_old);
int32_t joblet_mknod_char(const char *path, uint32_t mode, uint32_t major, uint32_t minor);

// Files. resolve takes the flags of openat2(2).
#define JOBLET_RESOLVE_NO_MAGICLINKS 0x02u
#define JOBLET_RESOLVE_NO_SYMLINKS 0x04u
#define JOBLET_RESOLVE_BENEATH 0x08u
#define JOBLET_O_PATH 010000000
int32_t joblet_openat2(int32_t dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int32_t joblet_open(int32_t dirfd, const char *path, int32_t flags, uint32_t mode);
// Takes room on the disk for the first bytes of a file, whose size stays (fallocate(2), FALLOC_FL_KEEP_SIZE).
int32_t joblet_reserve(int32_t fd, int64_t bytes);
// A pipe, both ends close-on-exec: ends[0] is read, ends[1] written.
int32_t joblet_pipe(int32_t ends[2]);
int64_t joblet_splice(int32_t in, int32_t out, int64_t *out_offset, uint64_t length);
int32_t joblet_fcntl_pipe_size(int32_t fd, int32_t size);
int32_t joblet_bytes_in_pipe(int32_t fd);
int32_t joblet_memfd(const char *name, int32_t executable);
int32_t joblet_memfd_seal(int32_t fd);
void joblet_wipe(void *memory, uint64_t length);

// epoll(7), which the Glibc module leaves out. A watched descriptor is named by the caller.
#define JOBLET_EPOLL_ADD 1
#define JOBLET_EPOLL_DELETE 2
#define JOBLET_EPOLL_MODIFY 3
int32_t joblet_epoll_create(void);
int32_t joblet_epoll_control(int32_t epoll, int32_t operation, int32_t fd, uint64_t name, int32_t output);
// Fills in the names of at most 64 ready descriptors and returns their number.
int32_t joblet_epoll_wait(int32_t epoll, uint64_t names[64], int32_t milliseconds);

// inotify(7). A watch tells of changes of files in a directory, of new names and of its removal.
int32_t joblet_inotify_create(void);
int32_t joblet_inotify_watch(int32_t inotify, const char *path);

// Sockets. Descriptors travel as SCM_RIGHTS (unix(7)).
int64_t joblet_send_with_fds(int32_t socket, const void *bytes, uint64_t length, const int32_t *fds, int32_t count);
// Receives at most *count descriptors, close-on-exec, and sets *count to their number.
int64_t joblet_receive_with_fds(int32_t socket, void *bytes, uint64_t length, int32_t *fds, int32_t *count);
int32_t joblet_unix_listen(const char *path, int32_t seqpacket);
// Takes the next connection, non-blocking and close-on-exec.
int32_t joblet_accept(int32_t listener);
// A pair of connected SOCK_SEQPACKET sockets.
int32_t joblet_packet_pair(int32_t ends[2]);
int32_t joblet_unix_connect(const char *path, int32_t seqpacket);
int32_t joblet_peer_uid(int32_t socket, uint32_t *uid, int32_t *pid);
int32_t joblet_loopback_up(void);
