/// Drops the records of jobs that ended long ago and of which no output and no samples are left.
///
/// Works over lists and deletes alone, so it serves every store. A run that was interrupted is begun again.
public struct JobRecordRetention: Sendable {
    /// What a run did, or would do.
    public struct Report: Sendable, Equatable {
        /// Records of ended jobs that were looked at.
        public var examined = 0
        /// Records that went.
        public var deleted = 0
        /// Jobs whose records stayed because something failed.
        public var failures: [RetentionReport.Failure] = []

        /// Nothing was done.
        public init() {}
    }

    /// Deletes a job that ended; throws `notFound` where someone else has done it.
    public typealias Deletion = @Sendable (JobRecord) async throws(StorageError) -> Void

    private let store: any JobStore
    private let logs: any LogStore
    private let metrics: any MetricStore
    private let node: String?
    private let isDryRun: Bool
    private let pageSize: Int
    private let deletion: Deletion?

    /// A run on the records of `node` in `store`, of every node where it is nil; a dry run only counts.
    ///
    /// Without a `deletion` a record becomes a tombstone in `store`; one that changed since it was listed stays then.
    public init(
        on store: any JobStore, logs: any LogStore, metrics: any MetricStore, node: String? = nil,
        isDryRun: Bool = false, pageSize: Int = 500, deletion: Deletion? = nil
    ) {
        self.store = store
        self.logs = logs
        self.metrics = metrics
        self.node = node
        self.isDryRun = isDryRun
        self.pageSize = max(1, pageSize)
        self.deletion = deletion
    }

    /// Deletes the jobs that ended before `time`, in nanoseconds since 1970.
    ///
    /// Those stay of which `isKept` says that something else still needs them, and those of which a store has
    /// something, or cannot say. Throws what listing throws, and `cancelled` in a cancelled task.
    public func run(
        endedBefore time: Int64, isKept: @Sendable (JobID) async -> Bool = { _ in false }
    ) async throws(StorageError) -> Report {
        let ended = Set(JobStatus.allCases.filter(\.isTerminal))
        // A job cannot have ended before it was accepted.
        let query = JobQuery(node: node, statuses: ended, created: Int64.min...time)
        var report = Report()
        var cursor: JobCursor?
        repeat {
            let page = try await store.list(query, after: cursor, limit: pageSize)
            for record in page.records {
                if Task.isCancelled { throw .cancelled }
                report.examined += 1
                if record.endedAt ?? record.createdAt >= time { continue }
                if await isKept(record.id) { continue }
                if await hasHistory(record.id) { continue }
                do throws(StorageError) {
                    if !isDryRun { try await delete(record) }
                    report.deleted += 1
                } catch .notFound {
                    continue
                } catch {
                    if error == .cancelled { throw error }
                    report.failures.append(RetentionReport.Failure(job: record.id, error: error))
                }
            }
            cursor = page.next
        } while cursor != nil
        if !isDryRun { try await store.sync() }
        return report
    }

    private func delete(_ record: JobRecord) async throws(StorageError) {
        guard let deletion else { return try await store.delete(record.id, version: record.version) }
        try await deletion(record)
    }

    private func hasHistory(_ job: JobID) async -> Bool {
        do throws(StorageError) {
            if try await logs.end(of: job) != nil { return true }
            return try await metrics.end(of: job) != nil
        } catch {
            return true
        }
    }
}
