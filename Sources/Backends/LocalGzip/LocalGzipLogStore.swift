import Glibc
public import Storage

/// Keeps logs in local files that `zcat` reads: a directory a job, one gzip file a stream, one index.
///
/// The format is described byte by byte in docs/storage.md. Appended bytes gather in memory, where
/// readers see them, until a block of 1 MiB is full or `sync` or `finish` asks for it; then both
/// streams' parts are written as one gzip member each and committed by one record in the index. So
/// `sync` after every few bytes would make small members: call it when a segment can be released.
/// One process writes a directory at a time.
public final class LocalGzipLogStore: LogStore {
    private let root: String
    private let shards: [LogShard]
    private let deleted: DeletedJobs

    /// Opens the store in `directory`, which is made with mode 0700 where it is missing.
    ///
    /// `durability` is what `sync` promises. The logs are spread over the threads of `executor`.
    public init(
        directory: String, durability: Durability = .process, executor: BlockingExecutor = .shared
    ) throws(StorageError) {
        try Directory.create(directory)
        if durability == .power { try Directory.synchronize(Directory.parent(of: directory)) }
        let deleted = try DeletedJobs(in: directory, durability: durability)
        root = directory
        self.deleted = deleted
        shards = (0..<executor.count).map { _ in
            LogShard(root: directory, durability: durability, deleted: deleted, thread: executor.thread())
        }
        // A delete that was interrupted ends here.
        let deletedJobs = deleted.jobs
        guard !deletedJobs.isEmpty else { return }
        for name in try Directory.names(in: directory) {
            if let job = JobID(name), deletedJobs.contains(job) { try LogFiles(of: job, in: directory).remove() }
        }
    }

    public func append(_ run: FragmentRun, to job: JobID) async throws(StorageError) {
        try await shard(of: job).append(run, to: job)
    }

    public func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError) {
        try await shard(of: job).skip(to: position, of: job, time: time)
    }

    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        let groups = Dictionary(grouping: jobs, by: shardIndex)
        var ends: [JobID: UInt64] = [:]
        var failure: StorageError?
        await withTaskGroup(of: (ends: [JobID: UInt64], failure: StorageError?).self) { group in
            for (index, jobs) in groups {
                let shard = shards[index]
                group.addTask { await Self.sync(jobs, in: shard) }
            }
            for await result in group {
                ends.merge(result.ends) { $1 }
                failure = failure ?? result.failure
            }
        }
        if let failure, ends.isEmpty { throw failure }
        return ends
    }

    public func finish(_ job: JobID) async throws(StorageError) {
        try await shard(of: job).finish(job)
    }

    public func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await shard(of: job).end(of: job)
    }

    public func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage {
        if let pattern = query.grep {
            return try await search(query, for: pattern, after: cursor, maxBytes: maxBytes)
        }
        return try await shard(of: query.job).read(query, after: cursor, maxBytes: maxBytes)
    }

    public func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        if let pattern = query.grep {
            return try await searchCursor(forLast: lines, of: query, for: pattern)
        }
        return try await shard(of: query.job).cursor(forLast: lines, of: query)
    }

    public func delete(_ job: JobID) async throws(StorageError) {
        try await shard(of: job).delete(job)
    }

    public func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await shard(of: job).trim(job, to: bytes)
    }

    public func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        var usages: [JobUsage] = []
        for job in try await jobs(after: job, limit: limit) {
            // Nothing for a directory that was removed since.
            if let usage = try await shard(of: job).usage(of: job) { usages.append(usage) }
        }
        return usages
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        var found = Set(try await LogDirectory.shared.jobs(in: root))
        for shard in shards { found.formUnion(await shard.jobsInMemory()) }
        let deleted = deleted.jobs
        let later = found.filter { id in !deleted.contains(id) && (job.map { id > $0 } ?? true) }
        return Array(later.sorted().prefix(max(0, limit)))
    }

    public func statistics(of job: JobID) async throws(StorageError) -> LogStatistics {
        try await shard(of: job).statistics(of: job)
    }

    private func shardIndex(of job: JobID) -> Int {
        // The last bits of an id are random in every version of UUID.
        Int(job.words.low % UInt64(shards.count))
    }

    /// The jobs that have a directory, whether there is a log in it or not.
    func directories() async throws(StorageError) -> [JobID] {
        let deleted = deleted.jobs
        return try await LogDirectory.shared.directories(in: root).filter { !deleted.contains($0) }.sorted()
    }

    func shard(of job: JobID) -> LogShard {
        shards[shardIndex(of: job)]
    }

    /// Syncs job by job, so that readers and writers of the shard get their turn in between.
    private static func sync(
        _ jobs: [JobID], in shard: LogShard
    ) async -> (ends: [JobID: UInt64], failure: StorageError?) {
        var ends: [JobID: UInt64] = [:]
        var failure: StorageError?
        for job in jobs {
            do throws(StorageError) {
                ends[job] = try await shard.sync(job)
            } catch {
                failure = failure ?? error
            }
        }
        return (ends, failure)
    }
}

/// Lists directories of logs, on a thread that may block.
private actor LogDirectory {
    static let shared = LogDirectory()

    private nonisolated let thread = BlockingExecutor.shared.thread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// The jobs that have a directory.
    func directories(in root: String) throws(StorageError) -> [JobID] {
        try Directory.names(in: root).compactMap { name in
            JobID(name).flatMap { $0.description == name ? $0 : nil }
        }
    }

    /// The jobs whose index holds more than its header.
    func jobs(in root: String) throws(StorageError) -> [JobID] {
        var jobs: [JobID] = []
        for job in try directories(in: root) {
            let index = try File.identity(of: LogFiles(of: job, in: root).index)
            if let index, index.size > LogIndex.headerSize { jobs.append(job) }
        }
        return jobs
    }
}
