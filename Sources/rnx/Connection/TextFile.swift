import Glibc
import JobletSecurity

/// Small text files: certificates, keys, configuration.
enum TextFile {
    /// More than any of these files needs.
    static let maximumBytes = 1 << 20

    static func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0
    }

    /// The text of a file. Throws `missing`, `system`, or `malformed` for what is no text or too large.
    static func read(_ path: String) throws(SecurityError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? .missing(path: path) : .system(call: "open", path: path, errno: errno)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while bytes.count <= maximumBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system(call: "read", path: path, errno: errno) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        guard bytes.count <= maximumBytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw .malformed(what: "file \(path)", reason: "not a text of at most \(maximumBytes) bytes")
        }
        return text
    }
}
