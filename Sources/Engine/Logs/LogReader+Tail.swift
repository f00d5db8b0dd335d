public import Storage

extension LogReader {
    /// Where the last `lines` lines of what is there now begin; both streams count together, each line where its
    /// first byte lies. Behind everything for no lines.
    ///
    /// The store finds the place in what it has; only what lies behind that place is read, twice where more than 65,536
    /// lines are asked for. What is read from the cursor on may hold the rest of a line of the other stream that began
    /// before it.
    public func cursor(forLast lines: Int, of request: Request) async throws -> LogCursor {
        let lines = max(0, lines)
        var reading = request
        reading.follows = false
        do throws(StorageError) {
            reading.start = max(request.start, try await store.cursor(forLast: lines, of: request.query))
        } catch {
            // While the store is away the outbox may have all there is: reading says whether it does.
            if case .unavailable = error {} else if error != .notFound { throw error }
        }
        if lines <= LineTail.most {
            var tail = LineTail(lines: lines, start: reading.start)
            try await read(reading) { tail.add($0) }
            return tail.cursor
        }
        // So many places are not remembered: whoever asks says how many.
        var count = 0
        var all = LineStarts()
        try await read(reading) { all.add($0) { _ in count += 1 } }
        guard count > lines else { return reading.start }
        return try await cursor(ofLine: count - lines, of: reading)
    }

    private struct Found: Error {
        let cursor: LogCursor
    }

    /// Where the line with that number begins, the first having 0.
    private func cursor(ofLine number: Int, of reading: Request) async throws -> LogCursor {
        var next = 0
        var lines = LineStarts()
        do {
            try await read(reading) { page in
                var found: LogCursor?
                lines.add(page) { cursor in
                    if next == number { found = cursor }
                    next += 1
                }
                if let found { throw Found(cursor: found) }
            }
        } catch let found as Found {
            return found.cursor
        }
        // Its beginning was removed since it was counted.
        return reading.start
    }
}

/// Remembers where each of the last lines begins.
struct LineTail {
    /// So many places are remembered.
    static let most = 1 << 16

    private let lines: Int
    private var start: LogCursor
    private var end: LogCursor
    private var starts: [LogCursor] = []
    private var all = LineStarts()

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
        all.add(page) { cursor in
            starts.append(cursor)
            // Kept short without moving the rest at each line.
            if starts.count - lines > max(1024, lines) { starts.removeFirst(starts.count - lines) }
        }
    }
}

/// Finds where lines begin, in page after page.
private struct LineStarts {
    private var isInsideLine: Set<LogStream> = []

    /// Calls `body` with the beginning of each line of the next page.
    mutating func add(_ page: LogPage, _ body: (LogCursor) -> Void) {
        page.forEach { fragment, bytes in
            var position = fragment.position
            var rest = bytes
            while !rest.isEmpty {
                if !isInsideLine.contains(fragment.stream) { body(LogCursor(position: position)) }
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
}
