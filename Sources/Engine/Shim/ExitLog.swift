import Glibc
import Kernel
import Sandbox

/// The `exits` file: how each job ended, written before the job is reaped.
///
/// It lies on a memory file system and is read by a daemon that finds the shim dead.
final class ExitLog {
    /// Entries of jobs that are forgotten are taken out once there are that many.
    private static let limit = 4096

    private let path: String
    private var file: FileDescriptor
    private var count = 0

    /// A new log; fails where another shim left one, which a daemon may not have read yet.
    init(path: String) throws(SystemCallError) {
        self.path = path
        file = try FileDescriptor.open(path, flags: O_RDWR | O_CREAT | O_EXCL)
    }

    func append(_ record: ExitRecord) throws(SystemCallError) {
        try FailPoint.pass("shim.beforeExitRecord")
        try file.write(record.entry, at: count * ExitRecord.size)
        count += 1
        try FailPoint.pass("shim.afterExitRecord")
    }

    /// Keeps only the entries in `known`, now and then, so that the file does not grow for ever.
    func compact(to known: () -> [ExitRecord]) throws(SystemCallError) {
        guard count >= ExitLog.limit else { return }
        let records = known()
        guard records.count <= count / 2 else { return }
        // Written anew and renamed: whoever reads finds every entry that matters, before and after.
        let next = try FileDescriptor.open("\(path).new", flags: O_RDWR | O_CREAT | O_TRUNC)
        try next.write(records.flatMap(\.entry), at: 0)
        try FailPoint.pass("shim.beforeExitRename")
        if rename("\(path).new", path) != 0 { throw .current("rename exits") }
        try FailPoint.pass("shim.afterExitRename")
        file = next
        count = records.count
    }
}
