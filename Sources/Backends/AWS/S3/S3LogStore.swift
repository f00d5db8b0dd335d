import Backends
public import Storage

/// Keeps logs in S3: objects of gzip members with an index, many small jobs in one pack.
///
/// The objects are described in docs/storage.md. `append` gathers in memory, where readers see it, and writes by
/// itself what exceeds `objectBytes` of a job. `sync` and `finish` write what is there, together with what other
/// calls ask for within `gather` milliseconds: a small job costs a part of a PUT. What a `sync` reported is in S3.
/// One process writes a node's keys at a time; it lists them once, at its first call.
public actor S3LogStore: LogStore, S3Store {
    let bucket: S3Bucket
    let configuration: S3Configuration
    let state: S3StoreState<S3Log, LogBlock>
    let gzip = Gzip()

    private nonisolated let thread: BlockingThread
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// A store over `http`, compressing on a thread of `executor`; nothing is sent before the first call.
    package init(
        _ configuration: S3Configuration, http: HTTPClient, executor: BlockingExecutor = .shared,
        now: @escaping @Sendable () -> Int64 = Tombstones.now
    ) {
        self.configuration = configuration
        state = S3StoreState(now: now)
        bucket = S3Bucket(configuration, folder: "logs", http: http)
        thread = executor.thread()
    }

    /// What was sent so far.
    package nonisolated var counts: AWSService.Counts { bucket.service.counts }

    /// Finds the bucket, made first where that is asked for, and throws why it cannot be used.
    package nonisolated func check() async throws(StorageError) {
        try await bucket.check()
    }

    // MARK: Writing

    public func append(_ run: FragmentRun, to job: JobID) async throws(StorageError) {
        try await prepareWriting(job)
        guard !run.isEmpty else { return }
        let known = try await series(of: job)
        try checkWritable(job)
        let news = try run.unknown(toLogEndingAt: known?.end ?? 0, notes: known?.notesAtEnd ?? [])
        var place = RunPlace()
        while place.index < news.fragments.count {
            try await makeRoom(for: job)
            let log = try await series(of: job) ?? S3Log(job: job)
            // A pause lies between: the job may have been deleted, its log forgotten and read again.
            try checkWritable(job)
            state.series[job] = log
            change(log) { log in
                if log.isTailFull { log.seal(with: gzip) }
                log.take(&place, of: news)
            }
        }
        uploadIfLarge(job)
    }

    public func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError) {
        try await prepareWriting(job)
        let log = try await series(of: job) ?? S3Log(job: job)
        try checkWritable(job)
        guard position > log.end else { return }
        state.series[job] = log
        change(log) { log in log.skip(to: position, time: time, with: gzip) }
    }

    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] { try await synced(jobs) }

    public func finish(_ job: JobID) async throws(StorageError) { try await finished(job) }

    public func delete(_ job: JobID) async throws(StorageError) { try await remove(job) }

    func seal(_ log: S3Log) { log.seal(with: gzip) }

    // MARK: Blocks

    /// A log's blocks stay as they are: they are a megabyte where a job writes much.
    nonisolated var joinedBytes: Int { 0 }

    func joining(_ blocks: [LogObject.Block]) -> LogObject.Block? { nil }

    func content(of block: LogObject.Block) -> LogBlock? { block.content(with: gzip) }

    func makeSeries(of job: JobID, with blocks: [LogObject.Stored]) async throws(StorageError) -> S3Log {
        var notes: [Fragment] = []
        for block in blocks.reversed() where notes.count < blocks.last?.header.end.gaps ?? 0 {
            do throws(StorageError) {
                notes.insert(contentsOf: try await load([block], of: job).first?.notesAtEnd ?? [], at: 0)
            } catch .corrupt {
                // A note may come twice then; the rest of the log is as good as it was.
                break
            }
        }
        return S3Log(job: job, blocks: blocks, notes: notes)
    }
}
