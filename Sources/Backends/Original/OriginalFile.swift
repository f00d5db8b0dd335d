import Foundation
import Storage

/// The JSON lines of a file that the original wrote: gzip members, the last of which a crash may have cut.
struct OriginalFile<Line: Decodable>: ~Copyable {
    /// The longest line that is decoded: the original wrote none longer than its messages.
    private static var longestLine: Int { 256 << 20 }

    private var reader: GzipReader?
    private let decoder = JSONDecoder()
    private var text: [UInt8] = []
    private var used = 0
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

    /// Text of a member that breaks off is used as far as it goes: each line is checked by its form.
    private mutating func fill() throws(StorageError) {
        switch try reader?.next() ?? .end {
        case .text(let piece):
            if text.count + piece.count > Self.longestLine { text = [] }
            text += piece
        case .memberEnd: break
        case .end: isAtEnd = true
        case .damaged:
            damages += 1
            // A line that is cut ends here.
            if !text.isEmpty { text.append(UInt8(ascii: "\n")) }
            if try reader?.seekMember() != true { isAtEnd = true }
        }
    }
}
