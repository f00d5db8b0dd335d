public import Storage

/// Keeps samples in local files that `zcat` reads as JSON Lines: a directory a job, gzip files named by time.
///
/// The format is described byte by byte in docs/storage.md. Appended samples gather in memory, where readers see
/// them, until `sync` or `finish` writes them as one gzip member, so a `sync` after every sample makes small members:
/// a writer gathers some first. One process writes a directory at a time.
public final class LocalGzipMetricStore: MetricStore {
    private let root: String
    private let shards: [MetricShard]
    private let deleted: DeletedJobs

    /// Opens the store in `directory`, which is made with mode 0700 where it is missing.
    ///
    /// `durability` is what `sync` promises; a file that has `fileBytes` bytes takes no more. The jobs are spread
    /// over the threads of `executor`.
    public init(
        directory: String, durability: Durability = .process, fileBytes: UInt64 = 1 << 20,
        executor: BlockingExecutor = .shared
    ) throws(StorageError) {
        try Directory.create(directory)
        if durability == .power { try Directory.synchronize(Directory.parent(of: directory)) }
        let deleted = try DeletedJobs(in: directory, durability: durability)
        root = directory
        self.deleted = deleted
        shards = (0..<executor.count).map { _ in
            MetricShard(
                root: directory, durability: durability, fileBytes: fileBytes, deleted: deleted,
                thread: executor.thread())
        }
        // A delete that was interrupted ends here.
        let deletedJobs = deleted.jobs
        guard !deletedJobs.isEmpty else { return }
        for name in try Directory.names(in: directory) {
            if let job = JobID(name), deletedJobs.contains(job) { try MetricFiles(of: job, in: directory).remove() }
        }
    }

    public func append(_ samples: [MetricSample], to job: JobID) async throws(StorageError) {
        try await shard(of: job).append(samples, to: job)
    }

    public func skip(to sequence: UInt64, of job: JobID) async throws(StorageError) {
        try await shard(of: job).skip(to: sequence, of: job)
    }

    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        var ends: [JobID: UInt64] = [:]
        var failure: StorageError?
        // Job by job, so that readers and writers of a shard get their turn in between.
        for job in jobs {
            do throws(StorageError) {
                ends[job] = try await shard(of: job).sync(job)
            } catch {
                failure = failure ?? error
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
        _ query: MetricQuery, from sequence: UInt64, limit: Int
    ) async throws(StorageError) -> MetricPage {
        try await shard(of: query.job).read(query, from: sequence, limit: limit)
    }

    public func delete(_ job: JobID) async throws(StorageError) {
        try await shard(of: job).delete(job)
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        var found = Set(try await MetricDirectory.shared.jobs(in: root))
        for shard in shards { found.formUnion(await shard.jobsInMemory()) }
        let deleted = deleted.jobs
        let later = found.filter { id in !deleted.contains(id) && (job.map { id > $0 } ?? true) }
        return Array(later.sorted().prefix(max(0, limit)))
    }

    public func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await shard(of: job).trim(job, to: bytes)
    }

    public func statistics(of job: JobID) async throws(StorageError) -> MetricStatistics {
        try await shard(of: job).statistics(of: job)
    }

    private func shard(of job: JobID) -> MetricShard {
        // The last bits of an id are random in every version of UUID.
        shards[Int(job.words.low % UInt64(shards.count))]
    }
}

/// Lists directories of samples, on a thread that may block.
private actor MetricDirectory {
    static let shared = MetricDirectory()

    private nonisolated let thread = BlockingExecutor.shared.thread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// The jobs that have a file.
    func jobs(in root: String) throws(StorageError) -> [JobID] {
        var jobs: [JobID] = []
        for name in try Directory.names(in: root) {
            guard let job = JobID(name), job.description == name else { continue }
            if try !MetricFiles(of: job, in: root).numbers().isEmpty { jobs.append(job) }
        }
        return jobs
    }
}
