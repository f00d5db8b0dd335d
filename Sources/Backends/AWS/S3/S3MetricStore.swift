import Backends
public import Storage

/// Keeps samples in S3: objects of gzip members with an index, many small jobs in one pack.
///
/// The objects are described in docs/storage.md; they lie beside those of `S3LogStore`, in a folder of their own.
/// `append` gathers in memory, where readers see it, and writes by itself what exceeds `objectBytes` of a job. `sync`
/// and `finish` write what is there, together with what other calls ask for within `gather` milliseconds: a small job
/// costs a part of a PUT. What a `sync` reported is in S3. One process writes a node's keys at a time; it lists them
/// once, at its first call.
public actor S3MetricStore: MetricStore, S3Store {
    let bucket: S3Bucket
    let configuration: S3Configuration
    let state: S3StoreState<S3Metrics, [MetricSample]>
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
        bucket = S3Bucket(configuration, folder: "metrics", http: http)
        thread = executor.thread()
    }

    /// What was sent so far.
    package nonisolated var counts: AWSService.Counts { bucket.service.counts }

    /// Finds the bucket, made first where that is asked for, and throws why it cannot be used.
    package nonisolated func check() async throws(StorageError) {
        try await bucket.check()
    }

    // MARK: Writing

    public func append(_ samples: [MetricSample], to job: JobID) async throws(StorageError) {
        try await prepareWriting(job)
        guard !samples.isEmpty else { return }
        let known = try await series(of: job)
        try checkWritable(job)
        var rest = try MetricRun.unknown(samples, toStoreEndingAt: known?.end ?? 0)
        while !rest.isEmpty {
            try await makeRoom(for: job)
            let metrics = try await series(of: job) ?? S3Metrics(job: job)
            // A pause lies between: the job may have been deleted.
            try checkWritable(job)
            state.series[job] = metrics
            change(metrics) { metrics in
                if metrics.isTailFull { metrics.seal(with: gzip) }
                rest = metrics.take(rest)
            }
        }
        uploadIfLarge(job)
    }

    public func skip(to sequence: UInt64, of job: JobID) async throws(StorageError) {
        try await prepareWriting(job)
        let metrics = try await series(of: job) ?? S3Metrics(job: job)
        try checkWritable(job)
        guard sequence > metrics.end else { return }
        state.series[job] = metrics
        change(metrics) { metrics in metrics.skip(to: sequence, with: gzip) }
    }

    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] { try await synced(jobs) }

    public func finish(_ job: JobID) async throws(StorageError) { try await finished(job) }

    public func delete(_ job: JobID) async throws(StorageError) { try await remove(job) }

    func seal(_ metrics: S3Metrics) { metrics.seal(with: gzip) }

    // MARK: Blocks

    nonisolated var joinedBytes: Int { S3Metrics.blockBytes }

    func joining(_ blocks: [MetricObject.Block]) -> MetricObject.Block? {
        guard let first = blocks.first else { return nil }
        var text = MetricText(at: first.header.member.first)
        for block in blocks {
            // What is damaged stays as it is, and is found by whoever reads it.
            guard let lines = block.header.member.text(of: block.bytes, with: gzip) else { return nil }
            text.append(lines, of: block.header.member)
        }
        return MetricObject.Block(text, of: first.job, with: gzip)
    }

    func content(of block: MetricObject.Block) -> [MetricSample]? { block.content(with: gzip) }

    func makeSeries(of job: JobID, with blocks: [MetricObject.Stored]) -> S3Metrics {
        S3Metrics(job: job, blocks: blocks, origin: state.catalogue.trims[job]?.end.position ?? 0)
    }
}
