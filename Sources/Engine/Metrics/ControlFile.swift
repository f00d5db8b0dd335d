import Glibc
import Kernel

/// A file of the kernel that is read again and again, through one descriptor.
///
/// Used from one thread.
final class ControlFile {
    private static let usualSize = 8 << 10

    private let path: String
    private var file: FileDescriptor?
    private var isMissing = false

    init(_ path: String) {
        self.path = path
    }

    /// What the file says now; nil where the host does not have it or the control group is gone.
    func read() -> [UInt8]? {
        guard !isMissing else { return nil }
        do throws(SystemCallError) {
            if let file { return try ControlFile.read(file) }
            let opened = try FileDescriptor.open(path, flags: O_RDONLY)
            file = opened
            return try ControlFile.read(opened)
        } catch {
            // Not there at the first look: not there at all, as memory.peak on older kernels.
            isMissing = error.code == ENOENT || error.code == EOPNOTSUPP
            file = nil
            return nil
        }
    }

    /// Gives up the descriptor until the next `read`.
    func close() { file = nil }

    /// One call where the buffer is large enough: the kernel makes the text anew for each.
    private static func read(_ file: FileDescriptor) throws(SystemCallError) -> [UInt8] {
        var size = usualSize
        while true {
            var bytes = [UInt8](repeating: 0, count: size)
            let count = try retrying("pread") { pread(file.number, &bytes, size, 0) }
            if count < size {
                bytes.removeLast(size - count)
                return bytes
            }
            size *= 4
        }
    }
}

/// The forms in which control files tell numbers (cgroup-v2.rst, "Interface Files").
enum ControlText {
    /// A file of one number; nil for `max`.
    static func number(_ bytes: [UInt8]?) -> UInt64? {
        bytes.flatMap { UInt64(text($0[...].prefix { !isSpace($0) })) }
    }

    /// A file of one number a line.
    static func numbers(_ bytes: [UInt8]?) -> [Int32] {
        guard let bytes else { return [] }
        return bytes.split(whereSeparator: isSpace).compactMap { Int32(text($0)) }
    }

    /// A file with a name and a number a line.
    static func keyed(_ bytes: [UInt8]?) -> [String: UInt64] {
        var values: [String: UInt64] = [:]
        for fields in lines(bytes) where fields.count == 2 {
            if let value = UInt64(text(fields[1])) { values[text(fields[0])] = value }
        }
        return values
    }

    /// A file with a name and several `key=value` a line, which are given to `body` one by one.
    static func nested(_ bytes: [UInt8]?, _ body: (_ name: String, _ key: String, _ value: String) -> Void) {
        for fields in lines(bytes) {
            guard let name = fields.first else { continue }
            for field in fields.dropFirst() {
                let parts = field.split(separator: UInt8(ascii: "="), maxSplits: 1)
                if parts.count == 2 { body(text(name), text(parts[0]), text(parts[1])) }
            }
        }
    }

    /// The words of each line.
    static func lines(_ bytes: [UInt8]?) -> [[ArraySlice<UInt8>]] {
        guard let bytes else { return [] }
        return bytes.split(separator: UInt8(ascii: "\n")).map { $0.split(whereSeparator: isSpace) }
    }

    static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (9...13).contains(byte) }
}
