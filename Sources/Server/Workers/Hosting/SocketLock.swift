import Engine
import Glibc

/// Makes sure that one process at a time serves a socket and has the stores behind it open.
public final class SocketLock: Sendable {
    /// How long a worker waits for the one before it, which may be about to end.
    static let patience = Duration.seconds(15)

    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Takes the lock of `socket`, whose directory is made where it is missing, and waits for it up to `patience`.
    ///
    /// Throws where another process keeps it.
    public static func take(_ socket: String, patience: Duration) async throws -> SocketLock {
        try SocketDirectory.create(for: socket)
        let path = "\(socket).lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw EngineError(.failedPrecondition, "open \(path): \(String(cString: strerror(errno)))")
        }
        let start = ContinuousClock.now
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now - start < patience else {
                close(descriptor)
                throw EngineError(.failedPrecondition, "another process serves \(socket)")
            }
            // Nothing tells of the end of a process that is no child.
            do {
                try await Task.sleep(for: .milliseconds(20))
            } catch {
                close(descriptor)
                throw error
            }
        }
        return SocketLock(descriptor)
    }

    /// Lets another process serve the socket.
    public func release() { close(descriptor) }
}
