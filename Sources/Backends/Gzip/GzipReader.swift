import CGzip
import Glibc
import Storage

/// The text of a file of gzip members, whoever wrote it, piece by piece.
struct GzipReader: ~Copyable {
    /// What comes next in the file.
    enum Piece: Equatable {
        /// Text of the current member; right only once the member's end was seen.
        case text([UInt8])
        /// The member's end: its checksum and length are right.
        case memberEnd
        /// From the beginning of the current member on there is none, or not this one.
        case damaged
        /// The file ends before the current member does.
        case truncated
        /// The file's end, behind the last member.
        case end
    }

    private static let pieceBytes = 256 << 10

    /// Where the current member begins in the file.
    private(set) var memberStart: UInt64 = 0

    private let file: File
    private let context: OpaquePointer
    private var input: [UInt8] = []
    /// How much of `input` was used, and where it begins in the file.
    private var used = 0
    private var inputStart: UInt64 = 0
    /// Whether the step before ended a member that was not reported yet.
    private var isAtMemberEnd = false

    /// Opens a file; nil where it does not exist.
    static func open(_ path: String) throws(StorageError) -> GzipReader? {
        guard let file = try File.open(path, O_RDONLY) else { return nil }
        return GzipReader(file)
    }

    private init(_ file: consuming File) {
        guard let context = joblet_gunzip_create() else { preconditionFailure("out of memory") }
        self.file = file
        self.context = context
    }

    deinit {
        joblet_gunzip_destroy(context)
    }

    /// The next piece; after `damaged`, `truncated` and `end` always the same until `seekMember`.
    mutating func next() throws(StorageError) -> Piece {
        while true {
            if let end = endMember() { return end }
            if used == input.count, try !fill() { return place == memberStart ? .end : .truncated }
            var consumed = 0
            var produced = 0
            var result: Int32 = 0
            var text: [UInt8] = []
            text.append(addingCapacity: Self.pieceBytes) { span in
                span.withUnsafeMutableBufferPointer { target, initialized in
                    input[used...].withUnsafeBytes { source in
                        guard let from = source.baseAddress, let to = target.baseAddress else { return }
                        result = joblet_gunzip_step(
                            context, from, source.count, &consumed, to, Self.pieceBytes, &produced)
                    }
                    initialized = produced
                }
            }
            used += consumed
            switch result {
            case JOBLET_GUNZIP_MEMBER_END:
                isAtMemberEnd = true
                if !text.isEmpty { return .text(text) }
            case JOBLET_GUNZIP_MORE:
                if !text.isEmpty { return .text(text) }
                // Neither input nor room is missing where nothing was used.
                if consumed == 0 { return .damaged }
            case JOBLET_GZIP_NO_MEMORY: preconditionFailure("out of memory")
            default: return .damaged
            }
        }
    }

    /// Goes to the next place, behind the beginning of the current member, that looks like the beginning of one;
    /// false where there is none.
    mutating func seekMember() throws(StorageError) -> Bool {
        var offset = memberStart + 1
        let size = try file.identity().size
        while offset + 3 <= size {
            let window = try LogFiles.read(file, at: offset, count: 1 << 20)
            let found = window.indices.dropLast(2).first { index in
                window[index] == 0x1f && window[index + 1] == 0x8b && window[index + 2] == 8
            }
            if let found {
                restart(at: offset + UInt64(found))
                return true
            }
            offset += UInt64(max(1, window.count - 2))
        }
        return false
    }

    private var place: UInt64 { inputStart + UInt64(used) }

    private mutating func endMember() -> Piece? {
        guard isAtMemberEnd else { return nil }
        isAtMemberEnd = false
        memberStart = place
        joblet_gunzip_restart(context)
        return .memberEnd
    }

    private mutating func restart(at offset: UInt64) {
        memberStart = offset
        inputStart = offset
        input = []
        used = 0
        isAtMemberEnd = false
        joblet_gunzip_restart(context)
    }

    private mutating func fill() throws(StorageError) -> Bool {
        inputStart = place
        used = 0
        input = try LogFiles.read(file, at: inputStart, count: Self.pieceBytes)
        return !input.isEmpty
    }
}
