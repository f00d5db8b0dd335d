import Backends
public import Storage

extension S3LogStore {
    /// Compressed bytes that one request reads at most, but for a single block.
    private static let readBytes: UInt64 = 4 << 20
    /// Blocks that stay in memory after they were read.
    private static let recentBlocks = 4

    public func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await open()
        guard let log = try await log(of: job), log.exists else { return nil }
        return log.end
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await open()
        var found = Set(catalogue.keys.keys)
        found.formUnion(logs.values.filter(\.exists).map(\.job))
        let later = found.filter { id in
            !catalogue.deleted.contains(id) && (job.map { id > $0 } ?? true)
        }
        return Array(later.sorted().prefix(max(0, limit)))
    }

    public func statistics(of job: JobID) async throws(StorageError) -> LogStatistics {
        try await existingLog(of: job).statistics
    }

    public func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        if let pattern = query.grep {
            return try await searchCursor(forLast: lines, of: query, for: pattern)
        }
        return try await existingLog(of: query.job).cursor(forLast: lines, of: query)
    }

    public func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage {
        if let pattern = query.grep {
            return try await search(query, for: pattern, after: cursor, maxBytes: maxBytes)
        }
        if Task.isCancelled { throw .cancelled }
        return try await whileObjectsMove(of: query.job) { () async throws(StorageError) in
            try await page(query, after: cursor, maxBytes: maxBytes, in: existingLog(of: query.job))
        }
    }

    /// Calls `body`, which reads objects of a job, again where one went between two requests: its pack was merged, or
    /// it was removed by hand.
    func whileObjectsMove<Value>(
        of job: JobID, _ body: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
        for _ in 0..<5 {
            do throws(StorageError) {
                return try await body()
            } catch {
                let isThere = logs[job].map(\.exists) ?? (catalogue.keys[job] != nil)
                guard error == .notFound, isThere else { throw error }
            }
        }
        throw .corrupt(place: bucket.place(job.description))
    }

    func existingLog(of job: JobID) async throws(StorageError) -> S3Log {
        try await open()
        guard let log = try await log(of: job), log.exists else { throw .notFound }
        return log
    }

    private func page(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int, in log: S3Log
    ) async throws(StorageError) -> LogPage {
        // The log goes on while requests are under way: what is read is how it stands now.
        let (stored, sealed, tail) = (log.blocks, log.sealed, log.tail)
        let headers = log.headers
        let first = max(0, (headers.firstIndex { $0.start > cursor } ?? headers.count) - 1)
        var page = LogPageBuilder(
            query, after: cursor, maxBytes: maxBytes,
            from: headers.isEmpty ? tail.start : headers[first].start)
        var ahead: [LogBlock] = []
        var index = first
        while index < headers.count {
            let header = headers[index]
            if let end = query.endPosition, header.start.position >= end { return page.page(isLast: true) }
            guard isWanted(header, page), header.end > cursor else {
                page.move(to: header.end)
                index += 1
                continue
            }
            if Task.isCancelled { throw .cancelled }
            if page.isFull { return page.page(isLast: false) }
            let content: LogBlock
            do throws(StorageError) {
                if index >= stored.count {
                    guard let block = sealed[index - stored.count].content(with: gzip) else {
                        throw .corrupt(place: "a block of job \(query.job) in memory")
                    }
                    content = block
                } else {
                    if ahead.isEmpty {
                        let end = readAhead(from: index, in: stored, maxBytes: maxBytes) { isWanted($0, page) }
                        ahead = try await contents(of: Array(stored[index..<end]), query.job).reversed()
                    }
                    content = ahead.removeLast()
                }
            } catch {
                // What was good before the damage is a page of its own; the next one begins with it.
                guard case .corrupt = error, !page.isEmpty else { throw error }
                return page.page(isLast: false)
            }
            if !content.fill(&page) { return page.page(isLast: false) }
            index += 1
        }
        let isComplete = tail.fill(&page)
        return page.page(isLast: isComplete)
    }

    private func isWanted(_ header: BlockHeader, _ page: LogPageBuilder) -> Bool {
        page.wants(stdout: header.hasStdout, stderr: header.hasStderr, times: header.times)
    }

    /// Where the blocks end that follow each other in one object, are wanted, and fit into the page.
    private func readAhead(
        from first: Int, in blocks: [S3Log.Stored], maxBytes: Int, _ isWanted: (BlockHeader) -> Bool
    ) -> Int {
        var end = first + 1
        var text = blocks[first].header.end.position - blocks[first].header.start.position
        while end < blocks.count, text < maxBytes, blocks[end].key == blocks[first].key,
            blocks[end].header.range.lowerBound == blocks[end - 1].header.range.upperBound,
            blocks[end].header.range.upperBound - blocks[first].header.range.lowerBound <= Self.readBytes,
            isWanted(blocks[end].header)
        {
            text += blocks[end].header.end.position - blocks[end].header.start.position
            end += 1
        }
        return end
    }

    /// The content of blocks that follow each other in one object.
    private func contents(of blocks: [S3Log.Stored], _ job: JobID) async throws(StorageError) -> [LogBlock] {
        if let first = blocks.first,
            let known = recent.first(where: { $0.job == job && $0.start == first.header.start }),
            known.block.end == first.header.end
        {
            return [known.block] + (blocks.count > 1 ? try await contents(of: Array(blocks.dropFirst()), job) : [])
        }
        let contents = try await load(blocks, of: job)
        for content in contents.suffix(Self.recentBlocks) { recent.append((job, content.start, content)) }
        recent.removeFirst(max(0, recent.count - Self.recentBlocks))
        return contents
    }

    /// Reads blocks that follow each other in one object, by one request.
    func load(_ blocks: [S3Log.Stored], of job: JobID) async throws(StorageError) -> [LogBlock] {
        var contents: [LogBlock] = []
        for (block, stored) in zip(blocks, try await bytes(of: blocks, of: job)) {
            guard let content = stored.content(with: gzip) else {
                throw .corrupt(place: "\(bucket.place(block.key)) at \(block.header.range.lowerBound)")
            }
            contents.append(content)
        }
        return contents
    }

    /// Blocks that follow each other in one object, as they are stored, by one request; nothing is checked.
    func bytes(of blocks: [S3Log.Stored], of job: JobID) async throws(StorageError) -> [LogObject.Block] {
        guard let first = blocks.first, let last = blocks.last else { return [] }
        let range = first.header.range.lowerBound..<last.header.range.upperBound
        let bytes: [UInt8]
        do throws(StorageError) {
            bytes = try await bucket.get(first.key, range)
        } catch {
            if error == .notFound { forget(first.key, of: job) }
            throw error
        }
        guard bytes.count == range.count else { throw .corrupt(place: bucket.place(first.key)) }
        return blocks.map { block in
            let start = Int(block.header.range.lowerBound - range.lowerBound)
            let part = Array(bytes[start..<start + block.header.range.count])
            return LogObject.Block(job: job, header: block.header, bytes: part)
        }
    }
}
