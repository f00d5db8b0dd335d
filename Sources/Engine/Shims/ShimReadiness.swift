import CLinux
import Glibc
import Kernel
import Storage

/// Waits for a shim that was just started.
enum ShimReadiness {
    private static let limitMilliseconds: Int32 = 10_000
    /// How often is looked where nothing tells.
    private static let pollMilliseconds: Int32 = 10

    /// Returns once the shim's control socket is there; throws where the process ends first.
    static func wait(for shim: ShimProgram, process: FileDescriptor) async throws(EngineError) {
        try await onThread { () throws(EngineError) in try block(shim, process) }.get()
    }

    /// Takes the exit of a child that ends, so that it does not stay a zombie; nothing for one of someone else's.
    static func reap(_ pid: Int32) async {
        _ = await onThread {
            while waitpid(pid, nil, 0) < 0, errno == EINTR {}
        }
    }

    /// Calls `body`, which may wait long, on a thread of its own.
    private static func onThread(
        _ body: @escaping @Sendable () throws(EngineError) -> Void
    ) async -> Result<Void, EngineError> {
        await withCheckedContinuation { continuation in
            var thread = pthread_t()
            let work = Unmanaged.passRetained(Work { continuation.resume(returning: Result(catching: body)) })
            let status = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                    return nil
                }, work.toOpaque())
            if status == 0 {
                pthread_detach(thread)
            } else {
                work.release()
                continuation.resume(returning: .failure(EngineError(.internal, "cannot start a thread")))
            }
        }
    }

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// A watch of the shim's directory; nil where the host has none left.
    private static func watch(_ shim: ShimProgram) -> FileDescriptor? {
        do throws(SystemCallError) {
            try FailPoint.pass("watcher.beforeWatch")
            let inotify = FileDescriptor(owning: try check(joblet_inotify_create(), "inotify_init"))
            try check(joblet_inotify_watch(inotify.number, shim.directory), "watch \(shim.directory)")
            return inotify
        } catch {
            return nil
        }
    }

    private static func block(_ shim: ShimProgram, _ process: FileDescriptor) throws(EngineError) {
        do throws(SystemCallError) {
            let inotify = watch(shim)
            let deadline = SystemClock.sinceBoot() + Int64(limitMilliseconds) * 1_000_000
            var events = [UInt8](repeating: 0, count: 4096)
            while !Directory.exists(shim.controlPath) {
                var files = [
                    pollfd(fd: inotify?.number ?? -1, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: process.number, events: Int16(POLLIN), revents: 0),
                ]
                let left = Int32(clamping: (deadline - SystemClock.sinceBoot()) / 1_000_000)
                let wait = inotify == nil ? min(left, pollMilliseconds) : left
                try retrying("poll") { poll(&files, 2, max(0, wait)) }
                if files[1].revents != 0 { throw SystemCallError("the supervisor ended", code: ECHILD) }
                if files[0].revents != 0, let inotify {
                    try retrying("read inotify") { read(inotify.number, &events, events.count) }
                } else if left <= 0 {
                    throw SystemCallError("the supervisor did not become ready", code: ETIMEDOUT)
                }
            }
        } catch {
            throw EngineError(.unavailable, "\(error); see \(shim.directory)/log")
        }
    }
}
