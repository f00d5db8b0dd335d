import Glibc
import Kernel
import Sandbox
public import Storage

/// What users do with jobs.
extension JobEngine {
    private static let launchAttempts = 3

    /// A place for the uploads of a job that is about to be run.
    public nonisolated func stage(for job: JobID) -> UploadStaging {
        UploadStaging(
            directory: "\(configuration.dataDirectory)/staging", job: job, limit: configuration.maxUploadBytes)
    }

    /// Where a job's uploads lie until it has ended; there only where it has any.
    nonisolated func stagingDirectory(of job: JobID) -> String {
        "\(configuration.dataDirectory)/staging/\(job)"
    }

    /// Accepts a job and starts it as soon as possible; returns its record as it was kept.
    ///
    /// A command that cannot be executed is a job that fails with 127 or 126, not an error.
    public func submit(
        _ request: JobRequest, id: JobID = .random(), uploads: UploadStaging? = nil
    ) async throws(EngineError) -> JobRecord {
        let job: Job
        do throws(EngineError) {
            job = try await accept(request, id: id, uploads: uploads)
        } catch {
            await uploads?.discard()
            throw error
        }
        inBackground { await self.launch(job) }
        return job.record
    }

    private func accept(
        _ request: JobRequest, id: JobID, uploads: UploadStaging?
    ) async throws(EngineError) -> Job {
        var specification = try JobSpecification(request, id: id, configuration: configuration, key: key, host: host)
        if let uploads { specification.uploads = await uploads.files }
        try checkRoom()
        _ = try cgroups.plan(for: id, limits: specification.limits)
        let range = try reserve(id)
        var record = JobRecord(
            id: id, node: identity, specification: specification, createdAt: SystemClock.now())
        record.lease = JobLease(
            startToken: .random(in: 1...UInt64.max), idRange: range, bootID: bootID)
        do throws(EngineError) {
            let entry = try await journal.append(.record(record), durability: specification.durability)
            // Before the job can have a second version: the stores get them in order.
            shipper?.enqueue(entry)
            return try admit(
                record, storedVersion: 0, isLogComplete: false, awaitsMetrics: true, isLaunching: true)
        } catch {
            if let range { ranges.release(range) }
            unfinished.remove(id)
            throw error
        }
    }

    /// Throws `resourceExhausted` where the disk has no more room than is kept for the ends of the jobs that there are.
    private nonisolated func checkRoom() throws(EngineError) {
        let directory = configuration.dataDirectory
        do throws(SystemCallError) {
            guard try Directory.isAtReserve(configuration.reserveBytes, at: directory) else { return }
            throw SystemCallError("the disk of \(directory) is full but for outbox.reserveBytes", code: ENOSPC)
        } catch {
            throw EngineError(.resourceExhausted, "\(error)")
        }
    }

    /// Takes a place among the running jobs and an id range, in one step; nil where jobs have no user namespace.
    private func reserve(_ id: JobID) throws(EngineError) -> UInt32? {
        guard isAccepting else { throw EngineError(.unavailable, "the node is shutting down") }
        try checkOpenQuestions()
        guard hot[id] == nil, !deleted.contains(id), !unfinished.contains(id) else {
            throw EngineError(.invalidArgument, "job id \(id) is in use")
        }
        let running = unfinished.count
        if configuration.maxConcurrentJobs > 0, running >= configuration.maxConcurrentJobs {
            throw EngineError(.resourceExhausted, "\(running) jobs run already (joblet.maxConcurrentJobs)")
        }
        var range: UInt32?
        if configuration.usesUserNamespaces {
            range = ranges.take()
            if range == nil { throw EngineError(.resourceExhausted, "no id range is free (sandbox.idRange.count)") }
        }
        unfinished.insert(id)
        openQuestions?.known.insert(id)
        return range
    }

    /// Hands an accepted job to a shim.
    func launch(_ job: Job) async {
        let record = job.record
        let staging = stagingDirectory(of: record.id)
        do throws(EngineError) {
            guard let fleet, let lease = record.lease else { throw EngineError(.internal, "no lease") }
            let uploads = Directory.exists(staging) ? staging : nil
            let work = try await workDirectories.make(for: record, staging: uploads)
            for _ in 0..<JobEngine.launchAttempts {
                let shim = try await fleet.newest()
                let request = StartRequest(
                    token: lease.startToken, job: job.shimJob,
                    cgroup: try cgroups.plan(for: record.id, limits: record.specification.limits),
                    output: OutputPlan(
                        root: configuration.outboxDirectory, segmentBytes: configuration.segmentBytes,
                        jobBytes: configuration.maxJobOutboxBytes,
                        dropsAtLimit: record.specification.outputPolicy == .drop),
                    plan: try planner.plan(
                        for: record, rootMount: "\(shim.directory)/root", work: work, staging: uploads))
                await job.attach(shim)
                // A shim that is gone took nothing: another one may start the job.
                guard shim.connection.send(.start(request)) else { continue }
                hot[record.id]?.supervisor = shim.directory
                hot[record.id]?.isLaunching = false
                return
            }
            throw EngineError(.unavailable, "the job supervisor ends as soon as it is started")
        } catch {
            hot[record.id]?.isLaunching = false
            job.post(.startFailed(reason: error.message, time: SystemClock.now()))
            abandonLog(record.id)
        }
    }

    /// Ends a running job: SIGTERM, then after the grace period SIGKILL; returns its last record.
    public func stop(_ id: JobID) async throws(EngineError) -> JobRecord {
        let record = try await self.record(of: id)
        if !record.status.isTerminal { try checkIsKnown(id) }
        guard let job = hot[id]?.job, !record.status.isTerminal else {
            throw EngineError(
                .failedPrecondition, "job is not running: \(id) (current status: \(record.status.rawValue))")
        }
        job.requestStop()
        return try await ended(job)
    }

    private func ended(_ job: Job) async throws(EngineError) -> JobRecord {
        let record = await job.waitForEnd()
        guard record.status.isTerminal else {
            throw EngineError(.unavailable, "the end of job \(job.id) could not be awaited")
        }
        return record
    }

    /// Takes back a job that waits for its time.
    public func cancel(_ id: JobID) async throws(EngineError) -> JobRecord {
        let record = try await self.record(of: id)
        guard record.status == .scheduled else {
            throw EngineError(
                .failedPrecondition, "Job is not scheduled (current status: \(record.status.rawValue))")
        }
        return record
    }

    /// Deletes an ended job with everything that is kept of it, in every store; it need not have a record.
    ///
    /// Returns once the deletion is recorded; what a store that is away still holds goes when it is back.
    public func delete(_ id: JobID) async throws(EngineError) {
        // A job that stays must not be missing for those who ask meanwhile.
        let known = try await recordOfHistory(of: id)
        if let known { try checkDeletable(known) }
        guard deleted.insert(id).inserted else { throw JobEngine.missing(id) }
        do throws(EngineError) {
            // Read again now that the id is taken: of several callers one deletes the job.
            let record = known == nil ? nil : try await keptRecord(of: id)
            try checkIsKnown(id)
            let entry = try await journal.append(
                .deleted(id, version: (record?.version ?? 0) + 1),
                durability: record?.specification.durability ?? configuration.durability)
            hot[id]?.shipping?.cancel()
            watcher.notify(id)
            shipper?.enqueue(entry)
        } catch {
            deleted.remove(id)
            throw error
        }
    }

    private func checkDeletable(_ record: JobRecord) throws(EngineError) {
        guard record.status.isTerminal else {
            throw EngineError(
                .failedPrecondition,
                "Cannot delete running job \(record.id) (current status: \(record.status.rawValue)): "
                    + "stop the job first")
        }
        guard record.node.id == identity.id else {
            throw EngineError(.failedPrecondition, "job \(record.id) belongs to node \(record.node.id)")
        }
    }

    /// Deletes every job of this node that has ended; returns how many went and how many stayed.
    public func deleteAll() async throws(EngineError) -> (deleted: Int, skipped: Int) {
        var deleted = 0
        var skipped = 0
        var cursor: JobCursor?
        repeat {
            let page = try await list(JobQuery(node: identity.id), after: cursor, limit: 500)
            for record in page.records {
                guard record.status.isTerminal else {
                    skipped += 1
                    continue
                }
                do throws(EngineError) {
                    try await delete(record.id)
                    deleted += 1
                } catch {
                    // Someone else deleted it meanwhile.
                    guard error.code == .notFound else { throw error }
                }
            }
            cursor = page.next
        } while cursor != nil
        return (deleted, skipped)
    }

    // MARK: Queries

    /// The job's record; throws `notFound`.
    public func record(of id: JobID) async throws(EngineError) -> JobRecord {
        guard !deleted.contains(id) else { throw JobEngine.missing(id) }
        let record = try await keptRecord(of: id)
        // Deleted while the store was asked.
        guard !deleted.contains(id) else { throw JobEngine.missing(id) }
        return record
    }

    /// The job's record as memory or the store has it, whether it is being deleted or not.
    private func keptRecord(of id: JobID) async throws(EngineError) -> JobRecord {
        if let entry = hot[id] { return entry.job.record }
        do throws(StorageError) {
            return try await jobStore.get(id)
        } catch {
            if error == .notFound { throw JobEngine.missing(id) }
            throw EngineError(.unavailable, "job records cannot be read: \(error)")
        }
    }

    private static func missing(_ id: JobID) -> EngineError {
        EngineError(.notFound, "job not found: \(id)")
    }

    /// The one job whose id begins with `text`; throws `notFound`, or `invalidArgument` naming the candidates.
    public func resolve(_ text: String) async throws(EngineError) -> JobID {
        guard let prefix = JobIDPrefix(text) else {
            throw EngineError(.notFound, "job not found: \(text.prefix(64))")
        }
        if let id = prefix.complete { return id }
        var found = Set(hot.keys.filter { prefix.matches($0) })
        // The store may read a state with a job whose deletion ends meanwhile.
        let deletedBefore = deleted
        do throws(StorageError) {
            // One more than are named, and more for those that are deleted.
            found.formUnion(try await jobStore.ids(prefix: prefix, limit: 11 + deleted.count))
        } catch {
            // Another job of which only the store knows may be meant.
            throw EngineError(
                .unavailable, "job id \(prefix) cannot be completed: job records cannot be read: \(error)")
        }
        found.subtract(deletedBefore.union(deleted))
        guard let first = found.first else { throw EngineError(.notFound, "job not found: \(prefix)") }
        guard found.count == 1 else { throw .ambiguous(prefix, found) }
        return first
    }

    /// A page of records, by the time at which they were accepted.
    public func list(
        _ query: JobQuery, after cursor: JobCursor?, limit: Int
    ) async throws(EngineError) -> JobPage {
        // A job may be stored or deleted and leave memory while the store reads an older state.
        let before = hot.mapValues { $0.job.record }
        let deletedBefore = deleted
        let stored: JobPage
        do throws(StorageError) {
            // Stored versions may be old: what memory knows better is filtered here.
            var wide = query
            wide.statuses = nil
            stored = try await jobStore.list(wide, after: cursor, limit: limit)
        } catch {
            throw EngineError(.unavailable, "job records cannot be read: \(error)")
        }
        var records = Dictionary(stored.records.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let last = stored.next
        let known = before.merging(hot.mapValues { $0.job.record }, uniquingKeysWith: { $1 })
        for record in known.values where records[record.id].map({ $0.version < record.version }) ?? true {
            let place = JobCursor(record)
            guard cursor.map({ $0 < place }) ?? true, last.map({ place <= $0 }) ?? true else { continue }
            records[record.id] = record
        }
        for id in deletedBefore.union(deleted) { records[id] = nil }
        let sorted = records.values.filter { query.admits($0) }.sorted { JobCursor($0) < JobCursor($1) }
        return JobPage(records: sorted, next: last)
    }

    /// The reader of jobs' logs.
    public nonisolated var logs: LogReader {
        LogReader(
            store: logStore, watcher: watcher, outboxRoot: configuration.outboxDirectory,
            isOpenEnded: { [weak self] id in await self?.mayWriteMore(id) ?? false },
            jobEnd: { [weak self] id in await self?.recordedEnd(of: id) })
    }

    /// Waits until the end of a job of which memory holds something is recorded.
    private func recordedEnd(of id: JobID) async { await hot[id]?.job.waitForEnd() }

    private func mayWriteMore(_ id: JobID) -> Bool {
        hot[id].map { !$0.isLogComplete && !deleted.contains(id) } ?? false
    }

    /// Waits until the job has ended.
    public func end(of id: JobID) async throws(EngineError) -> JobRecord {
        guard let job = hot[id]?.job else { return try await record(of: id) }
        return try await ended(job)
    }
}
