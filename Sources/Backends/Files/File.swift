import Glibc
package import Storage

/// An open file, closed at the end of the value's life; every call names the path in its error.
package struct File: ~Copyable {
    private let descriptor: Int32
    private let path: String

    /// What tells one file from another, and whether it grew.
    package struct Identity: Equatable {
        package var device: UInt64
        package var inode: UInt64
        package var size: UInt64
    }

    /// Opens a file with `O_NOFOLLOW` and mode 0600; nil where it does not exist.
    package static func open(_ path: String, _ flags: Int32) throws(StorageError) -> File? {
        while true {
            let descriptor = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if descriptor >= 0 { return File(descriptor: descriptor, path: path) }
            if errno == ENOENT { return nil }
            if errno != EINTR { throw StorageError(errno: errno, "open", path) }
        }
    }

    /// The identity of the file at `path`; nil where there is none.
    package static func identity(of path: String) throws(StorageError) -> Identity? {
        var status = stat()
        if lstat(path, &status) == 0 { return Identity(status) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw StorageError(errno: errno, "stat", path)
    }

    /// When the file at `path` was last written, in nanoseconds since 1970; nil where there is none.
    package static func modified(_ path: String) throws(StorageError) -> Int64? {
        var status = stat()
        if lstat(path, &status) == 0 {
            return Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw StorageError(errno: errno, "stat", path)
    }

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit {
        close(descriptor)
    }

    /// The file's identity.
    package borrowing func identity() throws(StorageError) -> Identity {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StorageError(errno: errno, "stat", path) }
        return Identity(status)
    }

    /// Fills `buffer` from `offset` on; returns how many bytes there were.
    package borrowing func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(StorageError) -> Int {
        var done = 0
        while done < buffer.count {
            guard let address = buffer.baseAddress, let from = off_t(exactly: offset + UInt64(done)) else { break }
            let count = pread(descriptor, address + done, buffer.count - done, from)
            if count == 0 { break }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                throw StorageError(errno: errno, "read", path)
            }
        }
        return done
    }

    /// Writes all of `bytes` at `offset`.
    package borrowing func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            guard let address = bytes.baseAddress else { break }
            let count = pwrite(descriptor, address + done, bytes.count - done, off_t(offset) + off_t(done))
            if count >= 0 {
                done += count
            } else if errno != EINTR {
                throw StorageError(errno: errno, "write", path)
            }
        }
    }

    /// Writes all of `bytes` at `offset`.
    package borrowing func write(_ bytes: [UInt8], at offset: UInt64) throws(StorageError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(StorageError) in
            try write(UnsafeRawBufferPointer(buffer), at: offset)
        }
    }

    /// Cuts or extends the file to `size` bytes.
    package borrowing func truncate(to size: UInt64) throws(StorageError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw StorageError(errno: errno, "truncate", path) }
    }

    /// Makes the file's content and size durable (`fdatasync`).
    package borrowing func synchronize() throws(StorageError) {
        guard fdatasync(descriptor) == 0 else { throw StorageError(errno: errno, "sync", path) }
    }
}

extension File.Identity {
    fileprivate init(_ status: stat) {
        self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: UInt64(status.st_size))
    }
}

extension StorageError {
    /// The error of a system call on a file: no room is `quota`, all else may pass.
    package init(errno code: Int32, _ call: String, _ path: String) {
        let reason = "\(call) \(path): \(String(cString: strerror(code)))"
        switch code {
        case ENOSPC, EDQUOT, EFBIG: self = .quota(reason: reason)
        default: self = .unavailable(reason: reason)
        }
    }
}
