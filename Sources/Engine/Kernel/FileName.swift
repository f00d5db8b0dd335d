import Glibc

/// A name in a directory, or a path of such names, as the kernel has it: any bytes but NUL (path_resolution(7)).
public struct FileName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The bytes and a NUL behind them, as system calls take them.
    public let cString: [CChar]

    /// The name that text spells in UTF-8.
    public init(_ text: String) { cString = Array(text.utf8CString) }

    /// The name at `pointer`.
    fileprivate init(copying pointer: UnsafePointer<CChar>) {
        cString = Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer) + 1))
    }

    /// The name that `bytes` are, which have no NUL.
    public init(bytes: some Sequence<UInt8>) { cString = bytes.map { CChar(bitPattern: $0) } + [0] }

    /// The bytes without the NUL.
    public var bytes: [UInt8] { cString.dropLast().map { UInt8(bitPattern: $0) } }

    /// Text, in which what is not UTF-8 is U+FFFD.
    public var description: String { String(decoding: bytes, as: UTF8.self) }

    /// Whether it has no bytes.
    public var isEmpty: Bool { cString.count == 1 }

    /// In order of their bytes.
    public static func < (left: FileName, right: FileName) -> Bool { strcmp(left.cString, right.cString) < 0 }

    /// The path to `name` in this directory.
    public func appending(_ name: FileName) -> FileName {
        isEmpty ? name : FileName(bytes: bytes + [UInt8(ascii: "/")] + name.bytes)
    }

    /// The names in a directory, unsorted, without `.` and `..`; throws `E2BIG` where there are more than `limit`.
    public static func all(
        in directory: FileDescriptor, limit: Int = .max
    ) throws(SystemCallError) -> [FileName] {
        // An open file of its own: the stream closes it, and moves in it.
        let number = try retrying("open .") { openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard let stream = fdopendir(number) else {
            let error = SystemCallError.current("fdopendir")
            close(number)
            throw error
        }
        defer { closedir(stream) }
        var names: [FileName] = []
        while let entry = readdir(stream) {
            guard names.count < limit else {
                throw SystemCallError("a directory with more than \(limit) names", code: E2BIG)
            }
            withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if strcmp(name, ".") != 0, strcmp(name, "..") != 0 { names.append(FileName(copying: name)) }
                }
            }
        }
        return names
    }
}
