public import Storage

extension LogReader {
    /// Where the last `lines` lines of what is there now begin; both streams count together.
    ///
    /// The store finds the place in what it has; only what lies behind that place is read.
    public func cursor(forLast lines: Int, of request: Request) async throws -> LogCursor {
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
    private var starts: [LogCursor]
    private var atLineStart = true

    init(lines: Int, start: LogCursor) {
        self.lines = lines
        starts = [start]
    }

    /// Where the last lines begin.
    var cursor: LogCursor { starts[max(0, starts.count - lines)] }

    mutating func add(_ page: LogPage) {
        page.forEach { fragment, bytes in
            for (offset, byte) in bytes.enumerated() {
                if atLineStart {
                    note(LogCursor(position: fragment.position + UInt64(offset)))
                    atLineStart = false
                }
                if byte == UInt8(ascii: "\n") { atLineStart = true }
            }
        }
    }

    private mutating func note(_ cursor: LogCursor) {
        if starts.count == 1, starts[0].position == cursor.position { return }
        starts.append(cursor)
        // Kept short without moving the rest at each line.
        if starts.count > 2 * lines + 1024 { starts.removeFirst(starts.count - lines) }
    }
}
