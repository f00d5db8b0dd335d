import Storage

/// A log whose older part is in compressed blocks and whose newest part is in memory.
///
/// What is read of it does not depend on where the blocks are kept.
protocol BlockedLog: AnyObject {
    var job: JobID { get }
    var codec: BlockCodec { get }
    /// The blocks, by place.
    var blocks: [LogIndex.Block] { get }
    /// What is not in a block yet.
    var tail: LogBlock { get }
    /// Where damage begins that no whole block follows.
    var damageAtEnd: UInt64? { get }
    /// Bytes that the blocks take, and what is there besides them.
    var storedBytes: UInt64 { get }

    /// The bytes of a block's fragment table, as they were stored.
    func table(of block: LogIndex.Block) throws(StorageError) -> [UInt8]
    /// The bytes of a block's member, as they were stored.
    func member(of stream: LogStream, in block: LogIndex.Block) throws(StorageError) -> [UInt8]
    /// How an error names a place in the list of blocks.
    func place(of offset: UInt64) -> String
    /// How an error names a member.
    func place(of stream: LogStream, in block: LogIndex.Block) -> String
}

extension BlockedLog {
    /// Whether the job has a log at all.
    var exists: Bool { !blocks.isEmpty || !tail.isEmpty || damageAtEnd != nil }

    /// The position after the last byte.
    var end: UInt64 { tail.end.position }

    /// The page of `query` after `cursor`.
    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) throws(StorageError) -> LogPage {
        let first = max(0, blocks.partitionIndex { $0.header.start > cursor } - 1)
        let place = blocks.isEmpty ? tail.start : blocks[first].header.start
        var page = LogPageBuilder(query, after: cursor, maxBytes: maxBytes, from: place)
        for block in blocks[min(first, blocks.count)...] {
            let header = block.header
            if let end = query.endPosition, header.start.position >= end { return page.page(isLast: true) }
            if let damage = block.damageBefore, cursor < header.start {
                guard page.isEmpty else { return page.page(isLast: false) }
                throw .corrupt(place: self.place(of: damage))
            }
            let isWanted = page.wants(stdout: header.hasStdout, stderr: header.hasStderr, times: header.times)
            guard isWanted, header.end > cursor else {
                page.move(to: header.end)
                continue
            }
            if Task.isCancelled { throw .cancelled }
            if page.isFull { return page.page(isLast: false) }
            page.reserve(header.wantedBytes(page))
            let content: LogBlock
            do throws(StorageError) {
                content = try codec.content(of: block, streams: query.streams, in: self)
            } catch {
                // What was good before the damage is a page of its own; the next one begins with it.
                guard case .corrupt = error, !page.isEmpty else { throw error }
                return page.page(isLast: false)
            }
            if !content.fill(&page) { return page.page(isLast: false) }
        }
        if let damage = damageAtEnd {
            guard page.isEmpty else { return page.page(isLast: false) }
            throw .corrupt(place: self.place(of: damage))
        }
        let isComplete = tail.fill(&page)
        return page.page(isLast: isComplete)
    }

    /// The beginning of the block that holds the first of the last `lines` lines, or of one before it.
    func cursor(forLast lines: Int, of query: LogQuery) -> LogCursor {
        let limit = query.endPosition ?? .max
        guard lines > 0 else { return limit < end ? LogCursor(position: limit) : tail.end }
        // A stream's first newline from a place on may end a line that began before it.
        let (enough, isTooMany) = lines.addingReportingOverflow(query.streams.count)
        if isTooMany { return .start }
        var found = 0
        if let times = tail.times, query.holds(times: times, end: tail.end.position) {
            for stream in query.streams { found += newlines(in: tail.bytes(of: stream)) }
            if found >= enough { return tail.start }
        }
        // A block that the query cuts counts for nothing: its lines may lie outside.
        for header in blocks.reversed().lazy.map(\.header)
        where query.holds(times: header.times, end: header.end.position) {
            for stream in query.streams { found += Int(header.member(of: stream).lines) }
            if found >= enough { return header.start }
        }
        return .start
    }

    /// What is held.
    var statistics: LogStatistics {
        var statistics = LogStatistics(bytes: 0, lines: 0, storedBytes: 0, times: tail.times)
        for stream in LogStream.allCases {
            let bytes = tail.bytes(of: stream)
            statistics.bytes += UInt64(bytes.count)
            statistics.lines += UInt64(newlines(in: bytes))
        }
        guard !blocks.isEmpty else { return statistics }
        statistics.storedBytes = storedBytes
        for block in blocks {
            let header = block.header
            statistics.bytes += UInt64(header.stdout.length) + UInt64(header.stderr.length)
            statistics.lines += UInt64(header.stdout.lines) + UInt64(header.stderr.lines)
            let times = statistics.times ?? header.times
            statistics.times =
                min(times.lowerBound, header.times.lowerBound)...max(times.upperBound, header.times.upperBound)
        }
        return statistics
    }

    /// The fragments of a block, from its table.
    func fragments(of block: LogIndex.Block) throws(StorageError) -> [Fragment] {
        let table = try table(of: block)
        guard let fragments = table.withUnsafeBytes({ FragmentTable.decode($0, of: block.header) }) else {
            throw .corrupt(place: place(of: block.offset))
        }
        return fragments
    }

    /// The last `count` gap notes of the blocks.
    func lastNotes(_ count: Int) throws(StorageError) -> [Fragment] {
        var notes: [Fragment] = []
        for block in blocks.reversed() where notes.count < count {
            let fragments = try fragments(of: block)
            notes.insert(contentsOf: fragments.suffix(count - notes.count), at: 0)
        }
        return notes
    }
}

extension LogQuery {
    /// Whether everything of these times that ends at `end` is asked for, if its stream is.
    fileprivate func holds(times: ClosedRange<Int64>, end: UInt64) -> Bool {
        end <= endPosition ?? .max && times.lowerBound >= since ?? .min && times.upperBound <= until ?? .max
    }
}

extension BlockHeader {
    /// Bytes of the streams that a page wants.
    fileprivate func wantedBytes(_ page: LogPageBuilder) -> Int {
        LogStream.allCases.reduce(0) { $0 + (page.wants($1) ? Int(member(of: $1).length) : 0) }
    }
}

extension Array {
    /// The first index whose element satisfies `predicate`, which all behind it do as well.
    func partitionIndex(_ predicate: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
