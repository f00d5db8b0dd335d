/// Text filters, for every backend: each answers a query that has one by these, over its own reading without one.
extension LogStore {
    /// Bytes that one call looks through at most, and at once.
    private static var searchedBytes: UInt64 { 8 << 20 }
    private static var pageBytes: Int { 256 << 10 }

    /// The page of a query with a text filter.
    ///
    /// Ends before the first line that is not whole, once `maxBytes` bytes matched or 8 MiB were looked through.
    public func search(
        _ query: LogQuery, for pattern: LinePattern, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage {
        var unfiltered = query
        unfiltered.grep = nil
        var filter = LineFilter(pattern)
        var place = cursor
        while true {
            if Task.isCancelled { throw .cancelled }
            let page: LogPage
            do throws(StorageError) {
                page = try await read(unfiltered, after: place, maxBytes: min(Self.pageBytes, max(4096, maxBytes)))
            } catch .corrupt(let damage) {
                // What was good before the damage is a page of its own, as it is without a filter.
                guard place > cursor else { throw .corrupt(place: damage) }
                filter.finish()
                return filter.takePage(upTo: place)
            }
            page.forEach { filter.add($0, $1) }
            place = page.next
            if page.isLast, query.endsLines { filter.finish() }
            let isEnough =
                filter.bytes.count >= maxBytes || filter.fragments.count >= LogPage.maximumFragments
                || place.position - cursor.position >= Self.searchedBytes
            guard page.isLast || isEnough else { continue }
            guard let undecided = filter.undecided else { return filter.takePage(upTo: place, isLast: page.isLast) }
            // The line is read again from its beginning, and whatever else is at that place.
            guard page.isLast || undecided > cursor.position else { continue }
            filter.dropNotes(at: undecided)
            return filter.takePage(upTo: max(cursor, LogCursor(position: undecided)), isLast: page.isLast)
        }
    }

    /// A cursor at or before the beginning of the last `lines` lines that match a query with a text filter.
    ///
    /// Looks through the end of the log, and more of it until enough lines matched.
    public func searchCursor(
        forLast lines: Int, of query: LogQuery, for pattern: LinePattern
    ) async throws(StorageError) -> LogCursor {
        var unfiltered = query
        unfiltered.grep = nil
        var (count, isTooMany) = (lines, lines <= 0)
        while true {
            (count, isTooMany) = isTooMany ? (count, true) : count.multipliedReportingOverflow(by: 64)
            let start = try await cursor(forLast: isTooMany ? max(0, lines) : count, of: unfiltered)
            if lines <= 0 || isTooMany { return lines <= 0 ? start : .start }
            if start <= .start { return start }
            // The first line of each stream may be the end of one.
            if try await matches(query, for: pattern, from: start) >= lines + query.streams.count { return start }
        }
    }

    /// How many newlines the lines from `start` on have that match.
    private func matches(
        _ query: LogQuery, for pattern: LinePattern, from start: LogCursor
    ) async throws(StorageError) -> Int {
        var cursor = start
        var found = 0
        while true {
            let page = try await search(query, for: pattern, after: cursor, maxBytes: Self.pageBytes)
            found += page.bytes.count { $0 == UInt8(ascii: "\n") }
            if page.isLast { return found }
            cursor = page.next
        }
    }
}
