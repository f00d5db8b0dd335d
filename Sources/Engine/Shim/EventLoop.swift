import CLinux
import Glibc
import Kernel

/// A level-triggered epoll(7) loop over descriptors that are named by numbers of our own.
///
/// Names are never used twice, so an event for a descriptor that is gone finds nothing: an event queued
/// before its removal cannot be taken for one of a later descriptor with the same number.
final class EventLoop {
    private let epoll: FileDescriptor
    private var names = [UInt64](repeating: 0, count: 64)
    private var lastName: UInt64 = 0

    init() throws(SystemCallError) {
        epoll = FileDescriptor(owning: try check(joblet_epoll_create(), "epoll_create"))
    }

    /// Watches `file` for input, under a new name.
    func add(_ file: FileDescriptor) throws(SystemCallError) -> UInt64 {
        lastName += 1
        try check(joblet_epoll_control(epoll.number, JOBLET_EPOLL_ADD, file.number, lastName, 0), "epoll_ctl")
        return lastName
    }

    /// Changes whether output is watched too.
    func change(_ file: FileDescriptor, name: UInt64, output: Bool) throws(SystemCallError) {
        try check(
            joblet_epoll_control(epoll.number, JOBLET_EPOLL_MODIFY, file.number, name, output ? 1 : 0), "epoll_ctl")
    }

    /// Stops watching; must come before the descriptor is closed, since a copy of it may live in a child.
    func remove(_ file: FileDescriptor) {
        _ = joblet_epoll_control(epoll.number, JOBLET_EPOLL_DELETE, file.number, 0, 0)
    }

    /// Waits at most `milliseconds` (−1: for ever) and calls `body` with the name of each ready descriptor.
    func wait(milliseconds: Int32, _ body: (UInt64) throws(SystemCallError) -> Void) throws(SystemCallError) {
        let count = joblet_epoll_wait(epoll.number, &names, milliseconds)
        if count == -EINTR { return }
        for name in names.prefix(Int(try check(count, "epoll_wait"))) { try body(name) }
    }
}
