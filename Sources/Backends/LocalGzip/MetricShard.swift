import Storage

/// The samples of one part of the jobs, on one thread: compression and file I/O never run on the cooperative pool.
actor MetricShard {
    /// Jobs that are remembered before the one that was not used for longest is forgotten.
    private static let remembered = 256

    private let root: String
    private let durability: Durability
    private let fileBytes: UInt64
    private let deleted: DeletedJobs
    private let codec = MetricCodec()
    private var jobs: [JobID: (metrics: JobMetrics, lastUse: UInt64)] = [:]
    private var clock: UInt64 = 0

    private nonisolated let thread: BlockingThread
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(root: String, durability: Durability, fileBytes: UInt64, deleted: DeletedJobs, thread: BlockingThread) {
        self.root = root
        self.durability = durability
        self.fileBytes = fileBytes
        self.deleted = deleted
        self.thread = thread
    }

    func append(_ samples: [MetricSample], to job: JobID) throws(StorageError) {
        try checkWritable(job)
        guard !samples.isEmpty else { return }
        try withMetrics(of: job) { (metrics) throws(StorageError) in
            try metrics.append(try MetricRun.unknown(samples, toStoreEndingAt: metrics.end))
        }
    }

    func skip(to sequence: UInt64, of job: JobID) throws(StorageError) {
        try checkWritable(job)
        try withMetrics(of: job) { (metrics) throws(StorageError) in
            if sequence > metrics.end { try metrics.skip(to: sequence) }
        }
    }

    /// Nil for a job without samples.
    func sync(_ job: JobID) throws(StorageError) -> UInt64? {
        try withMetrics(of: job) { (metrics) throws(StorageError) in try metrics.sync() }
    }

    func finish(_ job: JobID) throws(StorageError) {
        guard try sync(job) != nil else { return }
        jobs[job] = nil
        codec.forget(job)
    }

    func end(of job: JobID) throws(StorageError) -> UInt64? {
        try withMetrics(of: job) { metrics in metrics.isKnown ? metrics.end : nil }
    }

    func read(_ query: MetricQuery, from sequence: UInt64, limit: Int) throws(StorageError) -> MetricPage {
        if Task.isCancelled { throw .cancelled }
        return try withExistingMetrics(of: query.job) { (metrics) throws(StorageError) in
            try metrics.read(query, from: sequence, limit: limit)
        }
    }

    func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 {
        try withExistingMetrics(of: job) { (metrics) throws(StorageError) in try metrics.trim(to: bytes) }
    }

    func statistics(of job: JobID) throws(StorageError) -> MetricStatistics {
        try withExistingMetrics(of: job) { (metrics) throws(StorageError) in try metrics.statistics() }
    }

    func delete(_ job: JobID) throws(StorageError) {
        jobs[job] = nil
        codec.forget(job)
        try deleted.insert(job) { () throws(StorageError) in try MetricFiles(of: job, in: root).remove() }
    }

    /// The jobs whose only samples are in memory so far, and others.
    func jobsInMemory() -> [JobID] {
        jobs.values.filter { $0.metrics.hasSamples }.map(\.metrics.job)
    }

    private func checkWritable(_ job: JobID) throws(StorageError) {
        if deleted.contains(job) { throw .refused(reason: "the samples were deleted") }
    }

    private func withExistingMetrics<Result>(
        of job: JobID, _ body: (JobMetrics) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        try withMetrics(of: job) { (metrics) throws(StorageError) in
            guard metrics.hasSamples else {
                if let place = metrics.damagedFile { throw .corrupt(place: place) }
                throw .notFound
            }
            return try body(metrics)
        }
    }

    /// Calls `body` with a job's samples as they stand in its files and in memory.
    private func withMetrics<Result>(
        of job: JobID, _ body: (JobMetrics) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        clock += 1
        let metrics: JobMetrics
        if let known = jobs[job] {
            metrics = known.metrics
            jobs[job]?.lastUse = clock
        } else {
            makeRoom()
            metrics = JobMetrics(
                job: job, files: MetricFiles(of: job, in: root), durability: durability, fileBytes: fileBytes,
                codec: codec)
            jobs[job] = (metrics, clock)
        }
        defer { if !metrics.isKnown, metrics.isClean { jobs[job] = nil } }
        try metrics.refresh()
        return try body(metrics)
    }

    private func makeRoom() {
        while jobs.count >= Self.remembered {
            let unused = jobs.filter { $0.value.metrics.isClean }.min { $0.value.lastUse < $1.value.lastUse }
            guard let unused else { return }
            jobs[unused.key] = nil
        }
    }
}
