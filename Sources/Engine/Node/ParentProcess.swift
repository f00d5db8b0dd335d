import CLinux
public import Glibc
import Kernel

/// The process that started this one.
public enum ParentProcess {
    /// Sends `signal` to this process when the process `parent`, its parent now, has ended.
    ///
    /// Returns false where `parent` has ended already or cannot be watched. A pidfd (pidfd_open(2)) is watched by a
    /// thread that lasts: PR_SET_PDEATHSIG would end with the thread that set it, and threads of a pool come and go.
    public static func end(with signal: Int32, afterEndOf parent: pid_t) -> Bool {
        let watched = joblet_pidfd_open(parent)
        guard watched >= 0 else { return false }
        // Of a parent that had ended the id may be another's by now.
        guard getppid() == parent else {
            close(watched)
            return false
        }
        let watch = Watch(parent: FileDescriptor(owning: watched), signal: signal)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(watch)
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Watch>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            argument.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private final class Watch: Sendable {
        private let parent: FileDescriptor
        private let signal: Int32

        init(parent: FileDescriptor, signal: Int32) {
            self.parent = parent
            self.signal = signal
        }

        /// Waits for the end of the parent: then its pidfd is readable.
        func run() {
            var event = pollfd(fd: parent.number, events: Int16(POLLIN), revents: 0)
            while poll(&event, 1, -1) < 0, errno == EINTR {}
            kill(getpid(), signal)
        }
    }
}
