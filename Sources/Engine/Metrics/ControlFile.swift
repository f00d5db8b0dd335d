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
        bytes.flatMap { number($0[...].prefix { !isSpace($0) }) }
    }

    /// The number that decimal digits spell; nil for anything else.
    static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (tens, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflows) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            if isTooLarge || overflows { return nil }
            value = sum
        }
        return value
    }

    /// A file of one number a line.
    static func numbers(_ bytes: [UInt8]?) -> [Int32] {
        guard let bytes else { return [] }
        return bytes.split(whereSeparator: isSpace).compactMap { number($0).flatMap { Int32(exactly: $0) } }
    }

    /// A file with a name and a number a line.
    static func keyed(_ bytes: [UInt8]?) -> KeyedNumbers { KeyedNumbers(bytes ?? []) }

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

/// The numbers of a file with a name and a number a line, of which most are not asked for.
struct KeyedNumbers {
    private let bytes: [UInt8]
    private var lines: [(name: Range<Int>, value: UInt64)] = []

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            if let space = bytes[start..<end].firstIndex(of: UInt8(ascii: " ")),
                let value = ControlText.number(bytes[(space + 1)..<end])
            {
                lines.append((start..<space, value))
            }
            start = end + 1
        }
    }

    /// The number with that name; nil where there is none.
    subscript(name: String) -> UInt64? {
        lines.first { bytes[$0.name].elementsEqual(name.utf8) }?.value
    }
}
