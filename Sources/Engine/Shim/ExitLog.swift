import Glibc
import Kernel
import Sandbox

/// The `exits` file: how each job ended, written before the job is reaped.
///
/// It lies on a memory file system and is read by a daemon that finds the shim dead.
final class ExitLog {
    private let file: FileDescriptor
    private var size = 0

    init(path: String) throws(SystemCallError) {
        file = try FileDescriptor.open(path, flags: O_RDWR | O_CREAT | O_TRUNC)
    }

    func append(_ record: ExitRecord) throws(SystemCallError) {
        try FailPoint.pass("shim.beforeExitRecord")
        try file.write(record.entry, at: size)
        size += ExitRecord.size
        try FailPoint.pass("shim.afterExitRecord")
    }

    /// Forgets all entries, once no job needs them.
    func clear() throws(SystemCallError) {
        try file.truncate(to: 0)
        size = 0
    }
}
