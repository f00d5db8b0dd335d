/// Drops the records of jobs that ended long ago.
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

    private let store: any JobStore
    private let node: String?
    private let isDryRun: Bool
    private let pageSize: Int

    /// A run on the records of `node` in `store`, of every node where it is nil; a dry run only counts.
    public init(on store: any JobStore, node: String? = nil, isDryRun: Bool = false, pageSize: Int = 500) {
        self.store = store
        self.node = node
        self.isDryRun = isDryRun
        self.pageSize = max(1, pageSize)
    }

    /// Replaces by tombstones the records of jobs that ended before `time`, in nanoseconds since 1970.
    ///
    /// Jobs for which `isKept` says so stay: those that something else still needs. A record that changed since it
    /// was listed stays too. Throws what listing throws, and `cancelled` in a cancelled task.
    public func run(
        endedBefore time: Int64, isKept: @Sendable (JobRecord) async -> Bool = { _ in false }
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
                if await isKept(record) { continue }
                do throws(StorageError) {
                    if !isDryRun { try await store.delete(record.id, version: record.version) }
                    report.deleted += 1
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
}
