import Kernel
import Sandbox
public import Storage

/// What users do with jobs.
extension JobEngine {
    /// A place for the uploads of a job that is about to be run.
    public nonisolated func stage(for job: JobID) -> UploadStaging {
        UploadStaging(
            directory: "\(configuration.dataDirectory)/staging", job: job, limit: configuration.maxUploadBytes)
    }

    /// Accepts and starts a job; returns its record once its process runs, or could not be started.
    ///
    /// A command that cannot be executed is a job that fails with 127 or 126, not an error.
    public func run(
        _ request: JobRequest, id: JobID = .random(), uploads: UploadStaging? = nil
    ) async throws(EngineError) -> JobRecord {
        do throws(EngineError) {
            let job = try await accept(request, id: id, uploads: uploads)
            await launch(job, uploads: uploads)
            return await job.wait { $0.status != .initializing }
        } catch {
            await uploads?.discard()
            throw error
        }
    }

    private func accept(
        _ request: JobRequest, id: JobID, uploads: UploadStaging?
    ) async throws(EngineError) -> Job {
        guard isAccepting else { throw EngineError(.unavailable, "the node is shutting down") }
        var specification = try JobSpecification(request, id: id, configuration: configuration, key: key, host: host)
        if let uploads { specification.uploads = await uploads.files }
        _ = try cgroups.plan(for: id, limits: specification.limits)
        let running = hot.values.count { !$0.job.record.status.isTerminal }
        if configuration.maxConcurrentJobs > 0, running >= configuration.maxConcurrentJobs {
            throw EngineError(
                .resourceExhausted, "\(running) jobs run already (joblet.maxConcurrentJobs)")
        }
        var range: UInt32?
        if configuration.usesUserNamespaces {
            range = ranges.take()
            if range == nil { throw EngineError(.resourceExhausted, "no id range is free (sandbox.idRange.count)") }
        }
        var record = JobRecord(
            id: id, node: identity, specification: specification, createdAt: SystemClock.now())
        record.lease = JobLease(
            startToken: .random(in: 1...UInt64.max), idRange: range, bootID: DataDirectory.bootID())
        do throws(EngineError) {
            let entry = try await journal.append(.record(record), durability: specification.durability)
            // Before the job can have a second version: the stores get them in order.
            shipper?.enqueue(entry)
            return try admit(record, storedVersion: 0, isLogComplete: false)
        } catch {
            if let range { ranges.release(range) }
            throw error
        }
    }

    private func launch(_ job: Job, uploads: UploadStaging?) async {
        let record = job.record
        do throws(EngineError) {
            guard let fleet, let lease = record.lease else { throw EngineError(.internal, "no lease") }
            let shim = try await fleet.newest()
            let isEmpty = await uploads?.isEmpty ?? true
            let plan = try planner.plan(
                for: record, rootMount: "\(shim.directory)/root", staging: isEmpty ? nil : uploads?.path)
            let request = StartRequest(
                token: lease.startToken, job: job.shimJob,
                cgroup: try cgroups.plan(for: record.id, limits: record.specification.limits),
                output: OutputPlan(
                    root: configuration.outboxDirectory, segmentBytes: configuration.segmentBytes,
                    jobBytes: configuration.maxJobOutboxBytes,
                    dropsAtLimit: record.specification.outputPolicy == .drop),
                plan: plan)
            await job.attach(shim)
            await job.setGrace(configuration.stopGrace)
            shim.connection.send(.start(request))
        } catch {
            job.post(.startFailed(reason: error.message, time: SystemClock.now()))
            abandonLog(record.id)
        }
    }

    /// Ends a running job: SIGTERM, then after the grace period SIGKILL; returns its last record.
    public func stop(_ id: JobID) async throws(EngineError) -> JobRecord {
        let record = try await self.record(of: id)
        guard let job = hot[id]?.job, !record.status.isTerminal else {
            throw EngineError(
                .failedPrecondition, "job is not running: \(id) (current status: \(record.status.rawValue))")
        }
        await job.requestStop(grace: configuration.stopGrace)
        return await job.wait { $0.status.isTerminal }
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

    /// Deletes an ended job with everything that is kept of it, in every store.
    ///
    /// Returns once the deletion is recorded; what a store that is away still holds goes when it is back.
    public func delete(_ id: JobID) async throws(EngineError) {
        let record = try await self.record(of: id)
        guard record.status.isTerminal else {
            throw EngineError(
                .failedPrecondition,
                "Cannot delete running job \(id) (current status: \(record.status.rawValue)): stop the job first")
        }
        guard hot[id]?.isDeleted != true else { throw EngineError(.notFound, "job not found: \(id)") }
        if hot[id] == nil {
            try admit(record, storedVersion: record.version, isLogComplete: true)
        }
        // Before the journal has it: of several callers one deletes the job.
        hot[id]?.isDeleted = true
        let entry: JournaledEntry
        do throws(EngineError) {
            entry = try await journal.append(
                .deleted(id, version: record.version + 1), durability: record.specification.durability)
        } catch {
            hot[id]?.isDeleted = false
            forgetIfCold(id)
            throw error
        }
        hot[id]?.shipping?.cancel()
        shipper?.enqueue(entry)
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
        if let entry = hot[id] {
            guard !entry.isDeleted else { throw EngineError(.notFound, "job not found: \(id)") }
            return entry.job.record
        }
        do throws(StorageError) {
            return try await jobStore.get(id)
        } catch {
            if error == .notFound { throw EngineError(.notFound, "job not found: \(id)") }
            throw EngineError(.unavailable, "job records cannot be read: \(error)")
        }
    }

    /// The one job whose id begins with `text`; throws `notFound`, or `invalidArgument` naming the candidates.
    public func resolve(_ text: String) async throws(EngineError) -> JobID {
        guard let prefix = JobIDPrefix(text) else {
            throw EngineError(.notFound, "job not found: \(text.prefix(64))")
        }
        if let id = prefix.complete { return id }
        var found = Set(hot.filter { prefix.matches($0.key) && !$0.value.isDeleted }.map(\.key))
        do throws(StorageError) {
            for id in try await jobStore.ids(prefix: prefix, limit: 10) where hot[id]?.isDeleted != true {
                found.insert(id)
            }
        } catch {
            throw EngineError(.unavailable, "job records cannot be read: \(error)")
        }
        guard let first = found.first else { throw EngineError(.notFound, "job not found: \(prefix)") }
        guard found.count == 1 else {
            let names = found.sorted().prefix(10).map(\.description).joined(separator: ", ")
            throw EngineError(.invalidArgument, "job id \(prefix) is ambiguous: \(names)")
        }
        return first
    }

    /// A page of records, by the time at which they were accepted.
    public func list(
        _ query: JobQuery, after cursor: JobCursor?, limit: Int
    ) async throws(EngineError) -> JobPage {
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
        for entry in hot.values {
            let record = entry.job.record
            let place = JobCursor(record)
            records[record.id] = nil
            guard !entry.isDeleted, cursor.map({ $0 < place }) ?? true, last.map({ place <= $0 }) ?? true else { continue }
            records[record.id] = record
        }
        let sorted = records.values.filter { query.admits($0) }.sorted { JobCursor($0) < JobCursor($1) }
        return JobPage(records: sorted, next: last)
    }

    /// The reader of jobs' logs.
    public nonisolated var logs: LogReader {
        LogReader(
            store: logStore, watcher: watcher, outboxRoot: configuration.outboxDirectory,
            isOpenEnded: { [weak self] id in await self?.mayWriteMore(id) ?? false })
    }

    private func mayWriteMore(_ id: JobID) -> Bool {
        hot[id].map { !$0.isLogComplete && !$0.isDeleted } ?? false
    }

    /// Waits until the job has ended.
    public func end(of id: JobID) async throws(EngineError) -> JobRecord {
        guard let job = hot[id]?.job else { return try await record(of: id) }
        return await job.wait { $0.status.isTerminal }
    }
}
