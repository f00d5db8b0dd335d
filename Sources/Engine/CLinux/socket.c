#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_FDS = 8 };

int64_t joblet_send_with_fds(int32_t socket, const void *bytes, uint64_t length, const int32_t *fds, int32_t count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > MAX_FDS) return -EINVAL;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int64_t joblet_receive_with_fds(int32_t socket, void *bytes, uint64_t length, int32_t *fds, int32_t *count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int room = *count, found = 0;
    ssize_t received;
    *count = 0;
    do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int given = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < given; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + sizeof(int) * (size_t)i, sizeof fd);
            // A descriptor nobody asked for must not stay open in us.
            if (found < room) fds[found++] = fd;
            else close(fd);
        }
    }
    *count = found;
    return received;
}

static int32_t unix_socket(const char *path, int32_t seqpacket, struct sockaddr_un *address) {
    if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    int fd = socket(AF_UNIX, (seqpacket ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int32_t joblet_unix_listen(const char *path, int32_t seqpacket) {
    struct sockaddr_un address;
    char beside[sizeof address.sun_path];
    if ((size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside) return -ENAMETOOLONG;
    int fd = unix_socket(beside, seqpacket, &address);
    if (fd < 0) return fd;
    unlink(beside);
    // The mode is set on the socket before bind(2), so that the file never has a wider one; the name
    // appears only once connections are taken.
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(beside, 0600) < 0 || listen(fd, 64) < 0 || rename(beside, path) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int32_t joblet_unix_connect(const char *path, int32_t seqpacket) {
    struct sockaddr_un address;
    int fd = unix_socket(path, seqpacket, &address);
    if (fd < 0) return fd;
    int status;
    do status = connect(fd, (struct sockaddr *)&address, sizeof address);
    while (status < 0 && errno == EINTR);
    if (status < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int32_t joblet_peer_uid(int32_t socket, uint32_t *uid, int32_t *pid) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
    *uid = peer.uid;
    *pid = peer.pid;
    return 0;
}

int32_t joblet_loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    strcpy(request.ifr_name, "lo");
    int32_t status = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
    close(fd);
    return status;
}

int32_t joblet_accept(int32_t listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int32_t joblet_packet_pair(int32_t ends[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

int32_t joblet_epoll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int32_t joblet_epoll_control(int32_t epoll, int32_t operation, int32_t fd, uint64_t name, int32_t output) {
    struct epoll_event event = {.events = EPOLLIN | (output ? EPOLLOUT : 0), .data.u64 = name};
    return epoll_ctl(epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int32_t joblet_epoll_wait(int32_t epoll, uint64_t names[64], int32_t milliseconds) {
    struct epoll_event events[64];
    int count = epoll_wait(epoll, events, 64, milliseconds);
    for (int i = 0; i < count; i++) names[i] = events[i].data.u64;
    return count < 0 ? -errno : count;
}
