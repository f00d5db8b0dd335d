/// Passes the lines of a log that contain a pattern, and gap notes.
///
/// Takes fragments in their order. A line is decided at its newline, each stream for itself; what is passed keeps its
/// position and time and comes out in order, once no line that began before it is undecided. A line of more than 1 MiB
/// or of more than 65,536 fragments is decided in pieces of that length, and a line that is undecided after 4 MiB of
/// other output by what it has until then: so a filter holds a few megabytes, whatever a job writes.
public struct LineFilter: Sendable {
    private static let longestLine = 1 << 20
    private static let mostPieces = 1 << 16
    private static let longestWait: UInt64 = 4 << 20

    /// A part of a fragment that waits, or is passed.
    private struct Piece {
        var fragment: Fragment
        var bytes: ArraySlice<UInt8>
        var isPassed: Bool
    }

    /// What was passed: fragments in order, and their bytes.
    public private(set) var fragments: [Fragment] = []
    public private(set) var bytes: [UInt8] = []

    private let pattern: LinePattern
    /// What follows the beginning of the first undecided line.
    private var waiting: [Piece] = []
    /// A line that is not decided: its pieces, by index, and their bytes.
    private struct Undecided {
        var pieces: [Int] = []
        var length = 0

        var isLong: Bool { length >= longestLine || pieces.count >= mostPieces }
    }

    private var stdout = Undecided()
    private var stderr = Undecided()

    /// A filter at the beginning of a line in both streams.
    public init(_ pattern: LinePattern) {
        self.pattern = pattern
    }

    /// Where the first undecided line begins; nil where everything that was added is passed or dropped.
    public var undecided: UInt64? { waiting.first?.fragment.position }

    /// Takes what was passed so far out of the filter, as a page that ends at `next`.
    public mutating func takePage(upTo next: LogCursor, isLast: Bool = false) -> LogPage {
        defer {
            fragments = []
            bytes = []
        }
        return LogPage(fragments: fragments, bytes: bytes, next: next, isLast: isLast)
    }

    /// Takes back gap notes at `position` that were passed last: they are read again from there.
    mutating func dropNotes(at position: UInt64) {
        while let last = fragments.last, last.count == 0, last.position == position { fragments.removeLast() }
    }

    /// Adds the next fragment and its bytes.
    public mutating func add(_ fragment: Fragment, _ source: ArraySlice<UInt8>) {
        if fragment.count == 0 {
            pass(Piece(fragment: fragment, bytes: [], isPassed: true))
            return
        }
        if let first = waiting.first, fragment.position - first.fragment.position > Self.longestWait { finish() }
        var rest = source
        if !line(of: fragment.stream).pieces.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
            wait(fragment, of: source, rest[..<(end ?? rest.endIndex)])
            if end != nil || line(of: fragment.stream).isLong { decide(fragment.stream) }
            guard let end else { return }
            rest = rest[end...]
        }
        guard !rest.isEmpty else { return }
        let whole = rest.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? rest.startIndex
        passLines(fragment, of: source, rest[..<whole])
        rest = rest[whole...]
        while rest.count > Self.longestLine {
            wait(fragment, of: source, rest.prefix(Self.longestLine))
            decide(fragment.stream)
            rest = rest.dropFirst(Self.longestLine)
        }
        if !rest.isEmpty { wait(fragment, of: source, rest) }
    }

    /// Decides every line by what it has so far.
    public mutating func finish() {
        decide(.stdout)
        decide(.stderr)
    }

    /// Passes those of some whole lines that contain the pattern.
    private mutating func passLines(_ fragment: Fragment, of source: ArraySlice<UInt8>, _ lines: ArraySlice<UInt8>) {
        var rest = lines
        while !rest.isEmpty {
            guard let found = rest.withUnsafeBytes({ pattern.first(in: $0) }) else { return }
            let place = rest.startIndex + found
            let start = rest[..<place].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? rest.startIndex
            let end = rest[place...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? rest.endIndex
            pass(part(fragment, of: source, rest[start..<end], isPassed: true))
            rest = rest[end...]
        }
    }

    private mutating func pass(_ piece: Piece) {
        if waiting.isEmpty { emit(piece) } else { waiting.append(piece) }
    }

    private mutating func wait(_ fragment: Fragment, of source: ArraySlice<UInt8>, _ bytes: ArraySlice<UInt8>) {
        let index = waiting.count
        // A copy, so that a whole page is not kept for the end of a line.
        var piece = part(fragment, of: source, bytes, isPassed: false)
        piece.bytes = ArraySlice(Array(bytes))
        waiting.append(piece)
        change(fragment.stream) { line in
            line.pieces.append(index)
            line.length += bytes.count
        }
    }

    private func part(
        _ fragment: Fragment, of source: ArraySlice<UInt8>, _ bytes: ArraySlice<UInt8>, isPassed: Bool
    ) -> Piece {
        var part = fragment
        part.position += UInt64(bytes.startIndex - source.startIndex)
        part.content = .bytes(count: bytes.count)
        return Piece(fragment: part, bytes: bytes, isPassed: isPassed)
    }

    private func line(of stream: LogStream) -> Undecided { stream == .stdout ? stdout : stderr }

    private mutating func change(_ stream: LogStream, _ body: (inout Undecided) -> Void) {
        if stream == .stdout { body(&stdout) } else { body(&stderr) }
    }

    private mutating func decide(_ stream: LogStream) {
        let pieces = line(of: stream).pieces
        guard let first = pieces.first else { return }
        let isFound: Bool
        if pieces.count == 1 {
            isFound = waiting[first].bytes.withUnsafeBytes { pattern.first(in: $0) } != nil
        } else {
            let line = pieces.flatMap { waiting[$0].bytes }
            isFound = line.withUnsafeBytes { pattern.first(in: $0) } != nil
        }
        if isFound { for index in pieces { waiting[index].isPassed = true } }
        change(stream) { $0 = Undecided() }
        guard stdout.pieces.isEmpty, stderr.pieces.isEmpty else { return }
        for piece in waiting where piece.isPassed { emit(piece) }
        waiting = []
    }

    private mutating func emit(_ piece: Piece) {
        let fragment = piece.fragment
        bytes += piece.bytes
        if let last = fragments.last, last.count > 0, fragment.count > 0, last.end == fragment.position,
            last.stream == fragment.stream, last.time == fragment.time
        {
            fragments[fragments.count - 1].content = .bytes(count: last.count + fragment.count)
        } else {
            fragments.append(fragment)
        }
    }
}
