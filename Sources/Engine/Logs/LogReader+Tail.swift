public import Storage

extension LogReader {
    /// Where the last `lines` lines of what is there now begin; both streams count together, each line where its
    /// first byte lies. Behind everything for no lines.
    ///
    /// The store finds the place in what it has; only what lies behind that place is read. What is read from the
    /// cursor on may hold the rest of a line of the other stream that began before it.
    public func cursor(forLast lines: Int, of request: Request) async throws -> LogCursor {
        let lines = max(0, lines)
        var reading = request
        reading.follows = false
        do throws(StorageError) {
            reading.start = max(request.start, try await store.cursor(forLast: lines, of: request.query))
        } catch {
            guard error == .notFound else { throw error }
        }
        var tail = LineTail(lines: lines, start: reading.start)
        try await read(reading) { tail.add($0) }
        return tail.cursor
    }
}

/// Remembers where each of the last lines begins.
struct LineTail {
    private let lines: Int
    private var start: LogCursor
    private var end: LogCursor
    private var starts: [LogCursor] = []
    private var isInsideLine: Set<LogStream> = []

    /// The last `lines` lines of what follows `start`.
    init(lines: Int, start: LogCursor) {
        self.lines = max(0, lines)
        self.start = start
        end = start
    }

    /// Where the last lines begin.
    var cursor: LogCursor {
        if lines == 0 { return end }
        return starts.count < lines ? start : starts[starts.count - lines]
    }

    mutating func add(_ page: LogPage) {
        end = page.next
        page.forEach { fragment, bytes in
            var position = fragment.position
            var rest = bytes
            while !rest.isEmpty {
                if !isInsideLine.contains(fragment.stream) { note(LogCursor(position: position)) }
                guard let newline = rest.firstIndex(of: UInt8(ascii: "\n")) else {
                    isInsideLine.insert(fragment.stream)
                    return
                }
                isInsideLine.remove(fragment.stream)
                position += UInt64(newline + 1 - rest.startIndex)
                rest = rest[(newline + 1)...]
            }
        }
    }

    private mutating func note(_ cursor: LogCursor) {
        starts.append(cursor)
        // Kept short without moving the rest at each line.
        if starts.count - lines > max(1024, lines) { starts.removeFirst(starts.count - lines) }
    }
}
