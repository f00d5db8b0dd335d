import Glibc
import Kernel

/// Copies staged uploads into a job's work directory.
enum StagedFiles {
    private static let chunk = 256 << 10

    /// Copies what is below `source` to below `target`, with its modes, owned by `owner`.
    ///
    /// Both trees were made by us and hold only directories and regular files.
    static func copy(from source: String, to target: String, owner: UInt32) throws(SystemCallError) {
        var buffer = [UInt8](repeating: 0, count: chunk)
        try copyTree(
            try FileDescriptor.openDirectory(source), try FileDescriptor.openDirectory(target), source, owner, &buffer)
    }

    private static func copyTree(
        _ source: FileDescriptor, _ target: FileDescriptor, _ path: String, _ owner: UInt32, _ buffer: inout [UInt8]
    ) throws(SystemCallError) {
        for name in try Directory.names(in: path) {
            let from = try FileDescriptor.open(name, in: source, flags: O_RDONLY | O_NOFOLLOW)
            var status = stat()
            try retrying("fstat \(name)") { fstat(from.number, &status) }
            let mode = status.st_mode & 0o7777
            if status.st_mode & S_IFMT == S_IFDIR {
                try retrying("mkdir \(name)") { mkdirat(target.number, name, mode) }
                let to = try FileDescriptor.open(name, in: target, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                try copyTree(from, to, "\(path)/\(name)", owner, &buffer)
                try retrying("chown \(name)") { fchown(to.number, owner, owner) }
            } else {
                let to = try FileDescriptor.open(
                    name, in: target, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
                try copyContents(from, to, &buffer)
                try retrying("chown \(name)") { fchown(to.number, owner, owner) }
                // Once more: chown(2) clears set-user-ID bits, which uploads never carry anyway.
                try retrying("chmod \(name)") { fchmod(to.number, mode & 0o777) }
            }
        }
    }

    private static func copyContents(
        _ from: FileDescriptor, _ to: FileDescriptor, _ buffer: inout [UInt8]
    ) throws(SystemCallError) {
        var offset = 0
        while true {
            let count = try buffer.withUnsafeMutableBufferPointer { (memory) throws(SystemCallError) in
                let bytes = UnsafeMutableRawBufferPointer(memory)
                let count = try from.read(into: bytes, at: offset)
                try to.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: offset)
                return count
            }
            if count == 0 { return }
            offset += count
        }
    }
}
