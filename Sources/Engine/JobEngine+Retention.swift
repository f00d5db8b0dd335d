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
            .run(now: SystemClock.now(), live: { () async throws(StorageError) in try await self.jobsInMemory() })
    }

    /// The jobs that must not be touched; throws `unavailable` while not all of them are known.
    private func jobsInMemory() throws(StorageError) -> Set<JobID> {
        if let openQuestions { throw openQuestions.problem }
        return Set(hot.keys)
    }

    /// Deletes this node's jobs that ended longer than `age` nanoseconds ago and of which no output and no samples are
    /// left.
    public func pruneRecords(olderThan age: Int64) async throws(StorageError) -> JobRecordRetention.Report {
        _ = try jobsInMemory()
        let retention = JobRecordRetention(on: jobStore, logs: logStore, metrics: metricStore, node: identity.id) {
            [weak self] record throws(StorageError) in
            // Through the journal, as any other deletion.
            do throws(EngineError) {
                try await self?.delete(record.id)
            } catch {
                throw error.code == .notFound ? .notFound : .unavailable(reason: error.message)
            }
        }
        let (time, isBeforeTime) = SystemClock.now().subtractingReportingOverflow(age)
        return try await retention.run(endedBefore: isBeforeTime ? .min : time) { await self.hot[$0] != nil }
    }
}
