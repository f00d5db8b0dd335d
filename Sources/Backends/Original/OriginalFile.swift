import FoundationEssentials
import Storage

/// The JSON lines of a file that the original wrote: gzip members, the last of which a crash may have cut.
struct OriginalFile<Line: Decodable>: ~Copyable {
    /// The most text of a member: the original wrote none larger than a hundred of its messages.
    private static var largestMember: Int { 256 << 20 }

    private var reader: GzipReader?
    private let decoder = JSONDecoder()
    /// Text of members that were found whole.
    private var text: [UInt8] = []
    private var used = 0
    /// Text of the current member.
    private var member: [UInt8] = []
    private var isAtEnd = false
    /// Lines that could not be decoded, and places where the file is damaged.
    private(set) var badLines = 0
    private(set) var damages = 0

    /// Opens a file; one that does not exist has no lines.
    init(_ path: String) throws(StorageError) {
        reader = try GzipReader.open(path)
    }

    /// The next line; nil at the end. What cannot be decoded is counted and passed over.
    mutating func next() throws(StorageError) -> Line? {
        while let line = try nextText() {
            if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do {
                return try decoder.decode(Line.self, from: Data(line))
            } catch {
                badLines += 1
            }
        }
        return nil
    }

    private mutating func nextText() throws(StorageError) -> ArraySlice<UInt8>? {
        var searched = used
        while true {
            if let newline = text[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { used = newline + 1 }
                return text[used..<newline]
            }
            searched = text.count
            if isAtEnd {
                guard used < text.count else { return nil }
                defer { used = text.count }
                return text[used...]
            }
            text.removeSubrange(..<used)
            searched -= used
            used = 0
            try fill()
        }
    }

    private mutating func fill() throws(StorageError) {
        switch try reader?.next() ?? .end {
        case .text(let piece) where member.count + piece.count <= Self.largestMember: member += piece
        case .memberEnd:
            text += member
            member = []
        case .end: isAtEnd = true
        case .text, .damaged:
            damages += 1
            endLine()
            if try reader?.seekMember() != true { isAtEnd = true }
        case .truncated:
            damages += 1
            let rest = member
            endLine()
            // Where another member follows it was not the end of the file that cut this one.
            if try reader?.seekMember() == true { return }
            text += rest
            isAtEnd = true
        }
    }

    /// Ends a line that lacks its rest, before what was damaged.
    private mutating func endLine() {
        member = []
        if !text.isEmpty { text.append(UInt8(ascii: "\n")) }
    }
}
