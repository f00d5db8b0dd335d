import Kernel
public import Storage

/// What is dropped of jobs that have ended, by age and size.
extension JobEngine {
    /// Drops output that `policy` keeps no longer, copied to `archive` first where there is one.
    ///
    /// Jobs that have not ended, and those whose output or record is not all in the stores, are not touched.
    public func pruneLogs(
        _ policy: RetentionPolicy, archive: (any LogStore)?
    ) async throws(StorageError) -> RetentionReport {
        guard let archive else { return try await prune(policy, logStore, archive: nil) }
        let copy = LogCopy(from: logStore, to: archive)
        return try await prune(policy, logStore) { job throws(StorageError) in _ = try await copy.copy(job) }
    }

    /// Drops samples, as `pruneLogs` does output.
    public func pruneMetrics(
        _ policy: RetentionPolicy, archive: (any MetricStore)?
    ) async throws(StorageError) -> RetentionReport {
        guard let archive else { return try await prune(policy, metricStore, archive: nil) }
        let copy = MetricCopy(from: metricStore, to: archive)
        return try await prune(policy, metricStore) { job throws(StorageError) in _ = try await copy.copy(job) }
    }

    private func prune(
        _ policy: RetentionPolicy, _ store: any PrunableStore, archive: RetentionRun.Archive?
    ) async throws(StorageError) -> RetentionReport {
        try await RetentionRun(of: policy, on: store, archive: archive)
            .run(now: SystemClock.now(), live: { await self.jobsInMemory })
    }

    private var jobsInMemory: Set<JobID> { Set(hot.keys) }

    /// Deletes this node's jobs that ended longer than `age` nanoseconds ago and of which no output and no samples are
    /// left; returns how many went and how many stayed because they could not be deleted.
    public func pruneRecords(olderThan age: Int64) async throws(StorageError) -> (deleted: Int, failed: Int) {
        let time = SystemClock.now() - age
        let ended = Set(JobStatus.allCases.filter(\.isTerminal))
        // A job cannot have ended before it was accepted.
        let query = JobQuery(node: identity.id, statuses: ended, created: Int64.min...time)
        var (deleted, failed) = (0, 0)
        var cursor: JobCursor?
        repeat {
            let page = try await jobStore.list(query, after: cursor, limit: 500)
            for record in page.records where record.endedAt ?? record.createdAt < time && hot[record.id] == nil {
                if Task.isCancelled { throw .cancelled }
                guard try await logStore.end(of: record.id) == nil, try await metricStore.end(of: record.id) == nil
                else { continue }
                do throws(EngineError) {
                    try await delete(record.id)
                    deleted += 1
                } catch {
                    // Someone else deleted it meanwhile.
                    if error.code != .notFound { failed += 1 }
                }
            }
            cursor = page.next
        } while cursor != nil
        return (deleted, failed)
    }
}
