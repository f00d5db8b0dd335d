import Backends
public import Storage

extension S3LogStore {
    public func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await open()
        guard let log = try await series(of: job), log.exists else { return nil }
        return log.end
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await listedJobs(after: job, limit: limit)
    }

    public func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await listedUsages(after: job, limit: limit)
    }

    public func statistics(of job: JobID) async throws(StorageError) -> LogStatistics {
        try await existingSeries(of: job).statistics
    }

    public func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        if let pattern = query.grep {
            return try await searchCursor(forLast: lines, of: query, for: pattern)
        }
        return try await existingSeries(of: query.job).cursor(forLast: lines, of: query)
    }

    public func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage {
        if let pattern = query.grep {
            return try await search(query, for: pattern, after: cursor, maxBytes: maxBytes)
        }
        if Task.isCancelled { throw .cancelled }
        return try await whileObjectsMove(of: query.job) { () async throws(StorageError) in
            try await page(query, after: cursor, maxBytes: maxBytes, in: existingSeries(of: query.job))
        }
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
                    guard let block = self.content(of: sealed[index - stored.count]) else {
                        throw .corrupt(place: "a block of job \(query.job) in memory")
                    }
                    content = block
                } else {
                    if ahead.isEmpty {
                        var text = header.textLength
                        ahead = try await contents(
                            from: index, in: stored, of: query.job,
                            where: { isWanted($0, page) && $0.start.position < query.endPosition ?? .max }
                        ) { header in
                            defer { text += header.textLength }
                            return text < maxBytes
                        }.reversed()
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
}
