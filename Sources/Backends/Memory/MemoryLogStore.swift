public import Storage

/// Keeps logs in memory: the reference for other backends, and the store of tests.
public actor MemoryLogStore: LogStore {
    private var logs: [JobID: MemoryLog] = [:]
    private var deleted: Set<JobID> = []

    /// An empty store.
    public init() {}

    public func append(_ run: FragmentRun, to job: JobID) throws(StorageError) {
        try checkNotDeleted(job)
        guard !run.isEmpty else { return }
        let log = logs[job]
        let news = try run.unknown(toLogEndingAt: log?.end ?? 0, notes: log?.notesAtEnd ?? [])
        guard !news.isEmpty else { return }
        logs[job, default: MemoryLog()].append(news)
    }

    public func skip(to position: UInt64, of job: JobID, time: Int64) throws(StorageError) {
        try checkNotDeleted(job)
        let end = logs[job]?.end ?? 0
        guard position > end else { return }
        var run = FragmentRun(start: position)
        run.appendGap(stream: .stdout, time: time, dropped: position - end)
        logs[job, default: MemoryLog()].append(run)
    }

    public func sync(_ jobs: [JobID]) -> [JobID: UInt64] {
        var ends: [JobID: UInt64] = [:]
        for job in jobs { ends[job] = logs[job]?.end }
        return ends
    }

    public func finish(_ job: JobID) {}

    public func end(of job: JobID) -> UInt64? {
        logs[job]?.end
    }

    public func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage {
        if let pattern = query.grep {
            return try await search(query, for: pattern, after: cursor, maxBytes: maxBytes)
        }
        if Task.isCancelled { throw .cancelled }
        return try log(of: query.job).read(query, after: cursor, maxBytes: maxBytes)
    }

    public func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        if let pattern = query.grep {
            return try await searchCursor(forLast: lines, of: query, for: pattern)
        }
        return try log(of: query.job).cursor(forLast: lines, of: query)
    }

    public func delete(_ job: JobID) {
        logs[job] = nil
        deleted.insert(job)
    }

    public func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 {
        var log = try log(of: job)
        log.trim(to: Int(clamping: bytes))
        logs[job] = log
        return log.statistics.storedBytes
    }

    public func jobs(after job: JobID?, limit: Int) -> [JobID] {
        let later = logs.keys.filter { id in job.map { id > $0 } ?? true }
        return Array(later.sorted().prefix(max(0, limit)))
    }

    public func statistics(of job: JobID) throws(StorageError) -> LogStatistics {
        try log(of: job).statistics
    }

    private func log(of job: JobID) throws(StorageError) -> MemoryLog {
        guard let log = logs[job] else { throw .notFound }
        return log
    }

    private func checkNotDeleted(_ job: JobID) throws(StorageError) {
        if deleted.contains(job) { throw .refused(reason: "the log was deleted") }
    }
}
