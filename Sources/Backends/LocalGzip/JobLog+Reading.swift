import Storage

extension JobLog {
    /// The page of `query` after `cursor`.
    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) throws(StorageError) -> LogPage {
        let first = max(0, index.blocks.partitionIndex { $0.header.start > cursor } - 1)
        let place = index.blocks.isEmpty ? tail.start : index.blocks[first].header.start
        var page = LogPageBuilder(query, after: cursor, maxBytes: maxBytes, from: place)
        for block in index.blocks[min(first, index.blocks.count)...] {
            let header = block.header
            if let end = query.endPosition, header.start.position >= end { return page.page(isLast: true) }
            if let damage = block.damageBefore, cursor < header.start {
                guard page.isEmpty else { return page.page(isLast: false) }
                throw .corrupt(place: "\(files.indexName) at \(damage)")
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
        if let damage = index.damageAtEnd {
            guard page.isEmpty else { return page.page(isLast: false) }
            throw .corrupt(place: "\(files.indexName) at \(damage)")
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
        for header in index.blocks.reversed().lazy.map(\.header)
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
        guard !index.blocks.isEmpty else { return statistics }
        statistics.storedBytes =
            index.length - UInt64(pending.count) + index.fileLength(of: .stdout) + index.fileLength(of: .stderr)
        for block in index.blocks {
            let header = block.header
            statistics.bytes += UInt64(header.stdout.length) + UInt64(header.stderr.length)
            statistics.lines += UInt64(header.stdout.lines) + UInt64(header.stderr.lines)
            let times = statistics.times ?? header.times
            statistics.times =
                min(times.lowerBound, header.times.lowerBound)...max(times.upperBound, header.times.upperBound)
        }
        return statistics
    }

    /// The fragments of a block, from its table in the index.
    func fragments(of block: LogIndex.Block) throws(StorageError) -> [Fragment] {
        let offset = block.offset + UInt64(BlockHeader.size)
        let count = Int(block.header.tableLength)
        let written = index.length - UInt64(pending.count)
        let table: [UInt8]
        if block.offset >= written {
            let first = Int(offset - written)
            table = Array(pending[first..<first + count])
        } else {
            table = try files.read(files.index, at: offset, count: count)
        }
        guard let fragments = table.withUnsafeBytes({ FragmentTable.decode($0, of: block.header) }) else {
            throw .corrupt(place: "\(files.indexName) at \(offset)")
        }
        return fragments
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
