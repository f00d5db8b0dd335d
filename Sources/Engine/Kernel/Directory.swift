import Glibc

/// Calls on directories and names in them.
public enum Directory {
    /// Makes `path` and its missing parents with `mode`; no error where it exists.
    public static func create(_ path: String, mode: UInt32 = 0o700) throws(SystemCallError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw .current("mkdir \(path)")
        }
        try create(String(path[..<slash]), mode: mode)
        if mkdir(path, mode) != 0, errno != EEXIST { throw .current("mkdir \(path)") }
    }

    /// The names in the directory at `path`, unsorted, without `.` and `..`.
    public static func names(in path: String) throws(SystemCallError) -> [String] {
        try FileName.all(in: try FileDescriptor.openDirectory(path)).map(\.description)
    }

    /// Brings the names in the directory at `path` to the disk.
    public static func synchronize(_ path: String) throws(SystemCallError) {
        try FileDescriptor.openDirectory(path).synchronize()
    }

    /// The bytes of the file at `path`; none where there is no file.
    public static func size(ofFile path: String) -> UInt64 {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return 0 }
        return UInt64(status.st_size)
    }

    /// Bytes that programs may still write to the file system of `path`; none where that cannot be told.
    public static func freeBytes(at path: String) -> UInt64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    /// Whether the file system of `path` has less free than `reserve` bytes; of a small one, than an eighth of it.
    public static func isAtReserve(_ reserve: UInt64, at path: String) throws(SystemCallError) -> Bool {
        var status = statvfs()
        try retrying("statvfs \(path)") { statvfs(path, &status) }
        let size = UInt64(status.f_frsize)
        return UInt64(status.f_bavail) * size < min(reserve, UInt64(status.f_blocks) * size / 8)
    }

    /// Whether something exists at `path`; links are not followed.
    public static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }
}

/// The whole contents of a small file, as text; for `/proc`, `/sys` and configuration.
public func readText(_ path: String, limit: Int = 1 << 20) throws(SystemCallError) -> String {
    let file = try FileDescriptor.open(path, flags: O_RDONLY)
    // Files of /proc have no size, so the text is read until a short read.
    var text: [UInt8] = []
    var size = 4 << 10
    while text.count < limit {
        let part = try file.read(at: text.count, count: size)
        text += part
        if part.count < size { break }
        size *= 4
    }
    return String(decoding: text, as: UTF8.self)
}

/// Writes `text` to an existing file in one call, as control files of cgroups and /proc want it.
public func writeControl(_ path: String, _ text: String) throws(SystemCallError) {
    let file = try FileDescriptor.open(path, flags: O_WRONLY)
    let bytes = Array(text.utf8)
    try retrying("write \(text) to \(path)") { Glibc.write(file.number, bytes, bytes.count) }
}
