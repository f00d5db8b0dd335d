import Glibc

/// Files that appear whole or not at all, and never have more readers than they should, not even for a moment.
enum ExclusiveFile {
    /// Writes `text` to `path` through a temporary file beside it, created with `mode`.
    ///
    /// The file and its folder are synced. Without `replacing`, throws `exists` when there is something at `path`; no
    /// other process can create it in between, because linking the temporary file fails then.
    static func write(
        _ text: String, to path: String, mode: mode_t, replacing: Bool
    ) throws(SecurityError) {
        let (folder, name) = split(path)
        let temporary = "\(folder)/.\(name).\(UInt64.random(in: .min ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw .system(call: "open", path: temporary, errno: errno) }
        do {
            try fill(descriptor, with: text, path: temporary)
            try publish(temporary, as: path, replacing: replacing)
        } catch {
            unlink(temporary)
            throw error
        }
        try syncFolder(folder)
    }

    /// The text of a file of at most `PEM.maximumBytes`.
    static func read(_ path: String) throws(SecurityError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? .missing(path: path) : .system(call: "open", path: path, errno: errno)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while bytes.count <= PEM.maximumBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system(call: "read", path: path, errno: errno) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        guard bytes.count <= PEM.maximumBytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw .malformed(what: "file \(path)", reason: "not a text of at most \(PEM.maximumBytes) bytes")
        }
        return text
    }

    private static func fill(_ descriptor: Int32, with text: String, path: String) throws(SecurityError) {
        var remaining = Array(text.utf8)[...]
        while !remaining.isEmpty {
            let count = remaining.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw closing(descriptor, call: "write", path: path) }
            remaining = remaining.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw closing(descriptor, call: "fsync", path: path) }
        guard close(descriptor) == 0 else { throw .system(call: "close", path: path, errno: errno) }
    }

    private static func closing(_ descriptor: Int32, call: String, path: String) -> SecurityError {
        let error = SecurityError.system(call: call, path: path, errno: errno)
        close(descriptor)
        return error
    }

    private static func publish(
        _ temporary: String, as path: String, replacing: Bool
    ) throws(SecurityError) {
        if replacing {
            guard rename(temporary, path) == 0 else { throw .system(call: "rename", path: path, errno: errno) }
            return
        }
        guard link(temporary, path) == 0 else {
            throw errno == EEXIST ? .exists(path: path) : .system(call: "link", path: path, errno: errno)
        }
        unlink(temporary)
    }

    private static func syncFolder(_ folder: String) throws(SecurityError) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(call: "open", path: folder, errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system(call: "fsync", path: folder, errno: errno) }
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, String(path[path.index(after: slash)...]))
    }
}

/// The text of an error number.
func errorText(_ number: Int32) -> String {
    String(cString: strerror(number))
}
