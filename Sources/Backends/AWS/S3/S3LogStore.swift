import Backends
public import Storage

/// Keeps logs in S3: objects of gzip members with an index, many small jobs in one pack.
///
/// The objects are described in docs/storage.md. `append` gathers in memory, where readers see it, and writes by
/// itself what exceeds `objectBytes` of a job. `sync` and `finish` write what is there, together with what other
/// calls ask for within `gather` milliseconds: a small job costs a part of a PUT. What a `sync` reported is in S3.
/// One process writes a node's keys at a time; it lists them once, at its first call.
public actor S3LogStore: LogStore {
    let bucket: S3Bucket
    let configuration: S3Configuration
    let gzip = Gzip()
    var catalogue = S3Catalogue()
    var logs: [JobID: S3Log] = [:]
    /// Blocks that were read last, the newest at the end.
    var recent: [(job: JobID, start: LogCursor, block: LogBlock)] = []

    /// Jobs whose logs are being trimmed, which nobody may append to meanwhile.
    var trimming: Set<JobID> = []

    /// Bytes of all logs that wait to be written.
    private(set) var bytesInMemory = 0

    private var isReady = false
    private var opening: Task<Result<S3Catalogue, StorageError>, Never>?
    private let now: @Sendable () -> Int64
    /// Counts the uses of logs.
    private var uses: UInt64 = 0
    /// Jobs to be written by the cycle that is `scheduled`, after the one that is `running`.
    var pending: Set<JobID> = []
    var scheduled: Task<[JobID: StorageError], Never>?
    var running: Task<[JobID: StorageError], Never>?

    /// Logs that are remembered before the one that was not used for longest is forgotten.
    private static let rememberedLogs = 256
    private nonisolated let thread: BlockingThread
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// A store over `http`, compressing on a thread of `executor`; nothing is sent before the first call.
    package init(
        _ configuration: S3Configuration, http: HTTPClient, executor: BlockingExecutor = .shared,
        now: @escaping @Sendable () -> Int64 = Tombstones.now
    ) {
        self.configuration = configuration
        self.now = now
        bucket = S3Bucket(configuration, http: http)
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
        let known = try await log(of: job)
        try checkWritable(job)
        let news = try run.unknown(toLogEndingAt: known?.end ?? 0, notes: known?.notesAtEnd ?? [])
        var place = RunPlace()
        while place.index < news.fragments.count {
            try await makeRoom(for: job)
            let log = try await log(of: job) ?? S3Log(job: job)
            // A pause lies between: the job may have been deleted, its log forgotten and read again.
            try checkWritable(job)
            logs[job] = log
            change(log) { log in
                if log.isTailFull { log.seal(with: gzip) }
                log.take(&place, of: news)
            }
        }
        if let log = logs[job], log.sealedText >= configuration.objectBytes, !pending.contains(job) {
            _ = requestUpload([job])
        }
    }

    public func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError) {
        try await prepareWriting(job)
        let log = try await log(of: job) ?? S3Log(job: job)
        try checkWritable(job)
        guard position > log.end else { return }
        logs[job] = log
        change(log) { log in log.skip(to: position, time: time, with: gzip) }
    }

    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await open()
        var ends: [JobID: UInt64] = [:]
        var failures: [JobID: StorageError] = [:]
        var unwritten: [JobID] = []
        for job in Set(jobs) where !catalogue.deleted.contains(job) {
            do throws(StorageError) {
                guard let log = try await log(of: job), log.exists else { continue }
                if !log.isClean { unwritten.append(job) }
                ends[job] = log.durableEnd
            } catch {
                failures[job] = error
            }
        }
        if !unwritten.isEmpty {
            failures.merge(await requestUpload(unwritten).value) { $1 }
            for job in unwritten { ends[job] = failures[job] == nil ? logs[job]?.durableEnd ?? ends[job] : nil }
        }
        if ends.isEmpty, let failure = jobs.lazy.compactMap({ failures[$0] }).first { throw failure }
        return ends
    }

    public func finish(_ job: JobID) async throws(StorageError) {
        _ = try await sync([job])
        if let log = logs[job], log.isClean, !trimming.contains(job) { logs[job] = nil }
    }

    public func delete(_ job: JobID) async throws(StorageError) {
        try await open()
        if !catalogue.deleted.contains(job) {
            // Before anything goes: whoever opens the store next ends what is interrupted here.
            try await bucket.put(S3Catalogue.deletedFolder + job.description, [])
        }
        if let log = logs.removeValue(forKey: job) { bytesInMemory -= log.bytesInMemory }
        recent.removeAll { $0.job == job }
        for key in catalogue.bury(job) {
            try await bucket.delete(key)
            catalogue.remove(pack: key)
        }
    }

    /// Changes a log and counts what it holds in memory.
    func change(_ log: S3Log, _ body: (S3Log) -> Void) {
        let before = log.bytesInMemory
        body(log)
        bytesInMemory += log.bytesInMemory - before
    }

    /// Waits until there is room for another block of the job.
    private func makeRoom(for job: JobID) async throws(StorageError) {
        if let log = logs[job], log.isTailFull, log.sealedText >= 2 * configuration.objectBytes {
            if let failure = await requestUpload([job]).value[job] { throw failure }
        }
        guard bytesInMemory >= configuration.memoryBytes else { return }
        // All together: small logs share packs.
        let failures = await requestUpload(logs.values.filter { !$0.isClean }.map(\.job)).value
        if bytesInMemory >= configuration.memoryBytes, let failure = failures.values.first { throw failure }
    }

    private func prepareWriting(_ job: JobID) async throws(StorageError) {
        try await open()
        try checkWritable(job)
    }

    private func checkWritable(_ job: JobID) throws(StorageError) {
        if catalogue.deleted.contains(job) { throw .refused(reason: "the log was deleted") }
        if trimming.contains(job) { throw .unavailable(reason: "the log is being trimmed") }
    }

    // MARK: Opening

    /// Reads what is there, once.
    func open() async throws(StorageError) {
        while !isReady {
            let running: Task<Result<S3Catalogue, StorageError>, Never>
            if let opening {
                running = opening
            } else {
                let (bucket, time) = (bucket, now())
                running = Task {
                    do throws(StorageError) {
                        return .success(try await S3Catalogue.load(bucket, now: time))
                    } catch {
                        return .failure(error)
                    }
                }
                opening = running
            }
            let result = await running.value
            if opening == running { opening = nil }
            if isReady { return }
            catalogue = try result.get()
            isReady = true
        }
    }

    /// A job's log as it stands in objects and in memory; nil where there is none.
    func log(of job: JobID) async throws(StorageError) -> S3Log? {
        uses += 1
        while true {
            if let log = logs[job] {
                log.lastUse = uses
                return log
            }
            guard let keys = catalogue.keys[job], !catalogue.deleted.contains(job) else { return nil }
            let version = catalogue.version
            let blocks: [S3Log.Stored]
            var notes: [Fragment] = []
            do throws(StorageError) {
                blocks = try await loadBlocks(of: job, in: keys)
                for block in blocks.reversed() where notes.count < blocks.last?.header.end.gaps ?? 0 {
                    let content = try await load([block], of: job)
                    notes.insert(contentsOf: content.first?.notesAtEnd ?? [], at: 0)
                }
            } catch {
                // Its pack was merged into another meanwhile, or an object was removed by hand.
                if error == .notFound { continue }
                throw error
            }
            // Whoever came first is right, and what changed meanwhile is read again.
            guard logs[job] == nil, catalogue.version == version else { continue }
            forgetUnused()
            let log = S3Log(job: job, blocks: blocks, notes: notes)
            log.lastUse = uses
            logs[job] = log
            return log
        }
    }

    private func forgetUnused() {
        guard logs.count >= Self.rememberedLogs else { return }
        let unused = logs.values.filter { $0.isClean && !trimming.contains($0.job) }.min { $0.lastUse < $1.lastUse }
        if let unused { logs[unused.job] = nil }
    }

    /// The blocks of a job in some objects, by place; what two objects hold, after an interrupted merge, once.
    private func loadBlocks(of job: JobID, in keys: Set<String>) async throws(StorageError) -> [S3Log.Stored] {
        var found: [S3Log.Stored] = []
        let trim = catalogue.trims[job]
        for key in keys.sorted() {
            let entries: [LogObject.Entry]
            do throws(StorageError) {
                entries = try await bucket.index(of: key)
            } catch {
                if error == .notFound { forget(key, of: job) }
                throw error
            }
            for entry in entries where entry.job == job {
                if let trim, key != trim.key(of: job), entry.header.start < trim.end { continue }
                found.append(S3Log.Stored(header: entry.header, key: key))
            }
        }
        found.sort { ($0.header.start, $0.header.end) < ($1.header.start, $1.header.end) }
        var end = LogCursor.start
        return found.filter { block in
            guard block.header.start >= end, block.header.end > block.header.start else { return false }
            end = block.header.end
            return true
        }
    }

    /// Forgets an object that is not there: whoever removed it gave up what it held.
    func forget(_ key: String, of job: JobID) {
        guard catalogue.keys[job]?.contains(key) == true else { return }
        catalogue.remove(pack: key)
        catalogue.remove(key: key, of: [job])
        for log in logs.values { log.blocks.removeAll { $0.key == key } }
    }
}
