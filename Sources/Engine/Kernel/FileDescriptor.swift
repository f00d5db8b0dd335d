import CLinux
import Glibc

/// An open file, closed when the last reference goes.
public final class FileDescriptor: Sendable {
    /// The kernel's number for it.
    public let number: Int32

    /// Takes over an open descriptor.
    public init(owning number: Int32) {
        self.number = number
    }

    deinit { close(number) }

    /// Opens `path`, relative to `directory` where one is given; close-on-exec always.
    public static func open(
        _ path: String, in directory: FileDescriptor? = nil, flags: Int32, mode: UInt32 = 0o600
    ) throws(SystemCallError) -> FileDescriptor {
        FileDescriptor(
            owning: try check(joblet_open(directory?.number ?? AT_FDCWD, path, flags, mode), "open \(path)"))
    }

    /// Opens the directory at `path`.
    public static func openDirectory(
        _ path: String, in directory: FileDescriptor? = nil
    ) throws(SystemCallError) -> FileDescriptor {
        try open(path, in: directory, flags: O_RDONLY | O_DIRECTORY)
    }

    /// The file's size in bytes.
    public func size() throws(SystemCallError) -> Int {
        var status = stat()
        try retrying("fstat") { fstat(number, &status) }
        return status.st_size
    }

    /// Fills as much of `buffer` as the file has from `offset` on; returns the number of bytes.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemCallError) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        var done = 0
        while done < buffer.count {
            let count = try retrying("pread") { pread(number, base + done, buffer.count - done, offset + done) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// At most `count` bytes from `offset` on.
    public func read(at offset: Int, count: Int) throws(SystemCallError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let done = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(SystemCallError) in
            try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        bytes.removeLast(count - done)
        return bytes
    }

    /// Writes all of `buffer` at `offset`.
    public func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemCallError) {
        guard let base = buffer.baseAddress else { return }
        var done = 0
        while done < buffer.count {
            done += try retrying("pwrite") { pwrite(number, base + done, buffer.count - done, offset + done) }
        }
    }

    /// Writes all of `bytes` at `offset`.
    public func write(_ bytes: [UInt8], at offset: Int) throws(SystemCallError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(SystemCallError) in
            try write(UnsafeRawBufferPointer(buffer), at: offset)
        }
    }

    /// Cuts or extends the file to `size` bytes.
    public func truncate(to size: Int) throws(SystemCallError) {
        try retrying("ftruncate") { ftruncate(number, size) }
    }

    /// Takes room on the disk for the file's first `bytes`, so that writing them needs none later; its size stays.
    ///
    /// ENOSPC where there is no room, EOPNOTSUPP where the file system cannot do it (fallocate(2)).
    public func reserve(_ bytes: Int) throws(SystemCallError) {
        try check(joblet_reserve(number, Int64(bytes)), "fallocate")
    }

    /// Brings the file's data, and the metadata needed to read it, to the disk.
    public func synchronizeData() throws(SystemCallError) {
        try retrying("fdatasync") { fdatasync(number) }
    }

    /// Brings the file or directory to the disk.
    public func synchronize() throws(SystemCallError) {
        try retrying("fsync") { fsync(number) }
    }

    /// Makes reads and writes return EAGAIN rather than wait.
    public func setNonBlocking() throws(SystemCallError) {
        let flags = try retrying("fcntl") { fcntl(number, F_GETFL) }
        try retrying("fcntl") { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
    }
}

/// The two ends of a new pipe.
public struct Pipe: Sendable {
    /// Where bytes come out.
    public let readEnd: FileDescriptor
    /// Where they go in.
    public let writeEnd: FileDescriptor

    /// A pipe, close-on-exec, with a kernel buffer of `capacity` bytes where the host allows it.
    public init(capacity: Int32? = nil) throws(SystemCallError) {
        var ends: [Int32] = [-1, -1]
        try check(joblet_pipe(&ends), "pipe")
        readEnd = FileDescriptor(owning: ends[0])
        writeEnd = FileDescriptor(owning: ends[1])
        if let capacity {
            // Refused above fs.pipe-max-size or the user's pipe budget: the default size works too.
            _ = joblet_fcntl_pipe_size(readEnd.number, capacity)
        }
    }
}
