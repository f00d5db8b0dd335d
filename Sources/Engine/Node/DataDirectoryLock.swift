import Glibc
import Kernel
import Synchronization

/// The right to a data directory, which one process has at a time: the daemon, or a command on its stores.
public final class DataDirectoryLock: Sendable {
    private let file: Mutex<FileDescriptor?>

    /// Takes the right to the directory at `path`, which exists.
    ///
    /// Throws `failedPrecondition` where another process has it.
    public init(_ path: String) throws(EngineError) {
        do throws(SystemCallError) {
            let file = try FileDescriptor.open("\(path)/lock", flags: O_RDWR | O_CREAT)
            if flock(file.number, LOCK_EX | LOCK_NB) != 0 {
                guard errno == EWOULDBLOCK else { throw .current("lock \(path)") }
                throw SystemCallError("another joblet daemon holds \(path)", code: EWOULDBLOCK)
            }
            self.file = Mutex(file)
        } catch {
            throw error.code == EWOULDBLOCK
                ? EngineError(.failedPrecondition, error.operation) : EngineError(.internal, "\(error)")
        }
    }

    /// Lets another process take the directory.
    public func release() {
        file.withLock { file in
            // Closing is not enough: a child that is just being made has a copy until it executes its program.
            if let file { flock(file.number, LOCK_UN) }
            file = nil
        }
    }
}
