import Storage

/// One job's log in memory: all fragments and their bytes, in order.
struct MemoryLog {
    /// A fragment, the place before it and where its bytes begin.
    private struct Entry {
        var fragment: Fragment
        var place: LogCursor
        var offset: Int
    }

    private var entries: [Entry] = []
    private var bytes: [UInt8] = []
    private var endPlace = LogCursor.start

    /// The position after the last byte.
    var end: UInt64 { endPlace.position }

    /// The gap notes at the end.
    var notesAtEnd: [Fragment] { entries.suffix(endPlace.gaps).map(\.fragment) }

    /// Adds a run that begins at the end, or behind it after a skip.
    mutating func append(_ run: FragmentRun) {
        if run.start > end { endPlace = LogCursor(position: run.start) }
        var offset = bytes.count
        for fragment in run.fragments {
            entries.append(Entry(fragment: fragment, place: endPlace, offset: offset))
            offset += fragment.count
            if fragment.count > 0 {
                endPlace = LogCursor(position: fragment.end)
            } else {
                endPlace.gaps += 1
            }
        }
        bytes.append(contentsOf: run.bytes)
    }

    /// Drops the oldest bytes until at most `count` are left, behind a note of what is gone.
    mutating func trim(to count: Int) {
        guard bytes.count > count, let last = entries.last else { return }
        let first = bytes.count - count
        var rest = FragmentRun(start: end)
        rest.appendGap(stream: .stdout, time: last.fragment.time, dropped: end)
        if let index = entries.firstIndex(where: { $0.offset + $0.fragment.count > first }) {
            let entry = entries[index]
            let position = entry.fragment.position + UInt64(max(0, first - entry.offset))
            rest = FragmentRun(start: position)
            rest.appendGap(stream: .stdout, time: entry.fragment.time, dropped: position)
            for entry in entries[index...] {
                let fragment = entry.fragment
                if case .dropped(let bytes) = fragment.content {
                    rest.appendGap(stream: fragment.stream, time: fragment.time, dropped: bytes)
                }
                let range = max(first, entry.offset)..<max(first, entry.offset + fragment.count)
                rest.append(stream: fragment.stream, time: fragment.time, bytes: bytes[range])
            }
        }
        self = MemoryLog()
        append(rest)
    }

    /// The page of `query` after `cursor`.
    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) -> LogPage {
        let first = lastEntry(at: cursor) ?? 0
        let place = entries.isEmpty ? endPlace : entries[first].place
        var page = LogPageBuilder(query, after: cursor, maxBytes: maxBytes, from: place)
        let isComplete = bytes.withUnsafeBytes { bytes in
            for entry in entries[first...] {
                let source = bytes[entry.offset..<entry.offset + entry.fragment.count]
                if !page.add(entry.fragment, UnsafeRawBufferPointer(rebasing: source)) { return false }
            }
            return true
        }
        return page.page(isLast: isComplete)
    }

    /// The cursor before the last `lines` lines that match `query`, at the beginning of a fragment.
    func cursor(forLast lines: Int, of query: LogQuery) -> LogCursor {
        let limit = query.endPosition ?? .max
        guard lines > 0 else { return limit < end ? LogCursor(position: limit) : endPlace }
        // A stream's first newline from a place on may end a line that began before it.
        let enough = lines.addingReportingOverflow(query.streams.count)
        var found = 0
        for entry in entries.reversed() where entry.fragment.position < limit {
            guard query.admits(stream: entry.fragment.stream, time: entry.fragment.time) else { continue }
            let count = Int(min(entry.fragment.end, limit) - entry.fragment.position)
            found += bytes[entry.offset..<entry.offset + count].count { $0 == UInt8(ascii: "\n") }
            if !enough.overflow, found >= enough.partialValue { return entry.place }
        }
        return .start
    }

    /// What is held.
    var statistics: LogStatistics {
        let times = entries.map(\.fragment.time)
        let range = times.min().flatMap { earliest in times.max().map { earliest...$0 } }
        return LogStatistics(
            bytes: UInt64(bytes.count), lines: UInt64(bytes.count { $0 == UInt8(ascii: "\n") }),
            storedBytes: UInt64(bytes.count), times: range)
    }

    /// The last entry at or before `cursor`, by bisection.
    private func lastEntry(at cursor: LogCursor) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].place <= cursor { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }
}
