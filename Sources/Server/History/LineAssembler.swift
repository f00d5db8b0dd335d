import Storage

/// One line of a job's output, or a note of bytes that are missing there.
struct LogEntry: Sendable, Equatable {
    /// The stream it was written to.
    var stream: LogStream
    /// The position of its first byte.
    var position: UInt64
    /// When its first byte was read: nanoseconds since 1970.
    var time: Int64
    /// Its bytes, without the newline; of a note none.
    var content: [UInt8] = []
    /// How many bytes are missing here; zero for a line.
    var dropped: UInt64 = 0
}

/// Cuts the fragments of both streams into lines and orders them by their first byte.
///
/// A line longer than `longest` comes in pieces, and so does one that is not ended while the other stream goes on
/// for `patience` bytes: memory is bounded, and the order holds. A line ends where bytes of its stream are missing.
struct LineAssembler {
    /// The most bytes of a line.
    static let longest = 1 << 20
    /// The most bytes of lines that wait for the end of an earlier one, with what each takes besides.
    static let patience = 4 << 20
    private static let entryBytes = 128

    private var open: [LogStream: LogEntry] = [:]
    private var held: [LogEntry] = []
    private var heldBytes = 0

    /// Takes the next fragment; returns the lines whose turn it is.
    mutating func add(_ fragment: Fragment, _ bytes: ArraySlice<UInt8>) -> [LogEntry] {
        if case .dropped(let count) = fragment.content {
            if let line = open.removeValue(forKey: fragment.stream) { hold(line) }
            hold(LogEntry(stream: fragment.stream, position: fragment.position, time: fragment.time, dropped: count))
        }
        var position = fragment.position
        var rest = bytes
        while !rest.isEmpty {
            var line =
                open.removeValue(forKey: fragment.stream)
                ?? LogEntry(stream: fragment.stream, position: position, time: fragment.time)
            let room = rest.prefix(LineAssembler.longest - line.content.count)
            let newline = room.firstIndex(of: UInt8(ascii: "\n"))
            line.content += rest[..<(newline ?? room.endIndex)]
            let taken = newline.map { $0 + 1 - rest.startIndex } ?? room.count
            position += UInt64(taken)
            rest = rest.dropFirst(taken)
            if newline != nil || line.content.count >= LineAssembler.longest {
                hold(line)
            } else {
                open[fragment.stream] = line
            }
        }
        if heldBytes > LineAssembler.patience, let first = open.values.min(by: { $0.position < $1.position }) {
            open[first.stream] = nil
            hold(first)
        }
        return release()
    }

    /// The lines that are left, the last of a stream without its newline.
    mutating func finish() -> [LogEntry] {
        for line in open.values { hold(line) }
        open = [:]
        return release()
    }

    private mutating func hold(_ line: LogEntry) {
        // A note comes before the line at its position, and was there first.
        let place = held.lastIndex { $0.position <= line.position }.map { $0 + 1 } ?? 0
        held.insert(line, at: place)
        heldBytes += line.content.count + LineAssembler.entryBytes
    }

    private mutating func release() -> [LogEntry] {
        let barrier = open.values.map(\.position).min() ?? .max
        let count = held.firstIndex { $0.position > barrier } ?? held.count
        let ready = Array(held[..<count])
        held.removeFirst(count)
        heldBytes -= ready.reduce(0) { $0 + $1.content.count + LineAssembler.entryBytes }
        return ready
    }
}
