import Storage

/// The logs of one part of the jobs, on one thread: compression and file I/O of a shard never run on
/// the cooperative pool, and shards run beside each other.
actor LogShard {
    /// Tails in memory from which on the largest is written although it is no full block.
    private static let tailBytes = 8 << 20
    /// Logs whose blocks are remembered, and blocks of all of them, before the one that was not used for
    /// longest is forgotten.
    private static let rememberedLogs = 256
    private static let rememberedBlocks = 16_384

    private let root: String
    private let durability: Durability
    private let deleted: DeletedJobs
    private let codec = BlockCodec()
    private var logs: [JobID: (log: JobLog, lastUse: UInt64)] = [:]
    private var clock: UInt64 = 0
    private var bytesInTails = 0

    private nonisolated let thread: BlockingThread
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(root: String, durability: Durability, deleted: DeletedJobs, thread: BlockingThread) {
        self.root = root
        self.durability = durability
        self.deleted = deleted
        self.thread = thread
    }

    func append(_ run: FragmentRun, to job: JobID) throws(StorageError) {
        try checkWritable(job)
        guard !run.isEmpty else { return }
        if bytesInTails >= Self.tailBytes { try sealLargestTail() }
        try withLog(of: job) { (log) throws(StorageError) in try log.append(run) }
    }

    func skip(to position: UInt64, of job: JobID, time: Int64) throws(StorageError) {
        try checkWritable(job)
        try withLog(of: job) { (log) throws(StorageError) in try log.skip(to: position, time: time) }
    }

    /// Nil for a job without a log.
    func sync(_ job: JobID) throws(StorageError) -> UInt64? {
        try withLog(of: job) { (log) throws(StorageError) in log.exists ? try log.sync() : nil }
    }

    func finish(_ job: JobID) throws(StorageError) {
        guard try sync(job) != nil else { return }
        logs[job] = nil
        codec.forget(job)
    }

    func end(of job: JobID) throws(StorageError) -> UInt64? {
        try withLog(of: job) { log in log.exists ? log.end : nil }
    }

    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) throws(StorageError) -> LogPage {
        if Task.isCancelled { throw .cancelled }
        return try withExistingLog(of: query.job) { (log) throws(StorageError) in
            try log.read(query, after: cursor, maxBytes: maxBytes)
        }
    }

    func cursor(forLast lines: Int, of query: LogQuery) throws(StorageError) -> LogCursor {
        try withExistingLog(of: query.job) { log in log.cursor(forLast: lines, of: query) }
    }

    func statistics(of job: JobID) throws(StorageError) -> LogStatistics {
        try withExistingLog(of: job) { log in log.statistics }
    }

    func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 {
        try withExistingLog(of: job) { (log) throws(StorageError) in try log.trim(to: bytes) }
    }

    /// Mends a job's log; nil where there is none.
    func repair(_ job: JobID) throws(StorageError) -> JobRepair.Outcome? {
        do throws(StorageError) {
            if let outcome = try repairKnown(job) { return outcome }
        } catch .corrupt {
            // The header of the index: nothing of it can be believed.
        }
        logs[job] = nil
        codec.forget(job)
        var rebuilding = LogRebuilding(LogFiles(of: job, in: root), codec: codec)
        return try rebuilding.rebuild(job, durability).map { .rebuilt(bytes: $0) }
    }

    private func repairKnown(_ job: JobID) throws(StorageError) -> JobRepair.Outcome? {
        try withLog(of: job) { (log) throws(StorageError) in
            guard log.hasFiles || log.exists else { return nil }
            return try log.repairDamage()
        }
    }

    /// What stands behind the last record of a job's log; nil where it cannot be told.
    func tornEnd(of job: JobID) throws(StorageError) -> TornEnd? {
        do throws(StorageError) {
            return try withLog(of: job) { (log) throws(StorageError) in try log.tornEnd() }
        } catch .corrupt {
            return nil
        }
    }

    /// What a job's files take and when they were written, where the log itself cannot tell.
    func usage(of job: JobID) throws(StorageError) -> JobUsage? {
        do throws(StorageError) {
            return try withLog(of: job) { log in
                guard log.exists else { return nil }
                let statistics = log.statistics
                return JobUsage(job: job, storedBytes: statistics.storedBytes, times: statistics.times)
            }
        } catch .corrupt {
            return try LogFiles(of: job, in: root).usage(of: job)
        }
    }

    func delete(_ job: JobID) throws(StorageError) {
        if let known = logs.removeValue(forKey: job) { bytesInTails -= known.log.tail.byteCount }
        codec.forget(job)
        try deleted.insert(job) { () throws(StorageError) in try LogFiles(of: job, in: root).remove() }
    }

    /// The jobs whose only bytes are in memory so far, and others.
    func jobsInMemory() -> [JobID] {
        logs.values.filter { !$0.log.tail.isEmpty }.map(\.log.job)
    }

    private func checkWritable(_ job: JobID) throws(StorageError) {
        if deleted.contains(job) { throw .refused(reason: "the log was deleted") }
    }

    private func withExistingLog<Result>(
        of job: JobID, _ body: (JobLog) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try withLog(of: job) { (log) throws(StorageError) in
            guard log.exists else {
                // Text that no record names is no log, and not nothing.
                guard try log.tornEnd().isEmpty else { throw .corrupt(place: log.place(of: log.index.length)) }
                throw .notFound
            }
            return try body(log)
        }
    }

    /// Calls `body` with a job's log as it stands in its files and in memory.
    private func withLog<Result>(
        of job: JobID, _ body: (JobLog) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        clock += 1
        let log: JobLog
        if let known = logs[job] {
            log = known.log
            logs[job]?.lastUse = clock
        } else {
            makeRoom()
            let files = LogFiles(of: job, in: root)
            log = JobLog(job: job, files: files, durability: durability, codec: codec)
            logs[job] = (log, clock)
        }
        let before = log.tail.byteCount
        defer {
            bytesInTails += log.tail.byteCount - before
            if !log.exists, log.isClean { logs[job] = nil }
        }
        try log.refresh()
        return try body(log)
    }

    private func sealLargestTail() throws(StorageError) {
        let largest = logs.values.max { $0.log.tail.byteCount < $1.log.tail.byteCount }
        guard let log = largest?.log else { return }
        try withLog(of: log.job) { (log) throws(StorageError) in try log.seal() }
    }

    private func makeRoom() {
        var blocks = logs.values.reduce(0) { $0 + $1.log.index.blocks.count }
        while logs.count >= Self.rememberedLogs || blocks > Self.rememberedBlocks {
            let unused = logs.filter { $0.value.log.isClean }.min { $0.value.lastUse < $1.value.lastUse }
            guard let unused else { return }
            blocks -= unused.value.log.index.blocks.count
            logs[unused.key] = nil
        }
    }
}
