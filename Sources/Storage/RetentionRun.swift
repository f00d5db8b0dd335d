/// Carries out a policy on a store, page by page.
///
/// A run that was interrupted is begun again: what it did is not there any more, and nothing is done halfway.
public struct RetentionRun: Sendable {
    /// Copies what a step will drop to a second store and makes sure that it arrived; throws where it did not.
    public typealias Archive = @Sendable (JobID) async throws(StorageError) -> Void

    private let store: any PrunableStore
    private let policy: RetentionPolicy
    private let archive: Archive?
    private let isDryRun: Bool
    private let pageSize: Int

    /// A run of `policy` on `store`; with `archive` nothing is dropped that it did not take before.
    ///
    /// A dry run counts what would be done and does nothing.
    public init(
        of policy: RetentionPolicy, on store: any PrunableStore, archive: Archive? = nil, isDryRun: Bool = false,
        pageSize: Int = 1000
    ) {
        self.store = store
        self.policy = policy
        self.archive = archive
        self.isDryRun = isDryRun
        self.pageSize = max(1, pageSize)
    }

    /// Drops what the policy no longer keeps at the time `now`; returns what was done.
    ///
    /// `live` says which jobs must not be touched: those that have not ended, and those whose output is not all in
    /// the store. It is asked after each page was listed, so that it knows every job that the page may name.
    /// `progress` is called after each step. A step that fails is counted, and the run goes on. Throws what
    /// listing and `live` throw, and `cancelled` between two steps of a cancelled task.
    public func run(
        now: Int64, live: @Sendable () async throws(StorageError) -> Set<JobID>,
        progress: @Sendable (RetentionReport) -> Void = { _ in }
    ) async throws(StorageError) -> RetentionReport {
        var plan = Retention(policy, now: now)
        var report = RetentionReport()
        var last: JobID?
        while true {
            let usages = try await store.usages(after: last, limit: pageSize)
            guard let end = usages.last else { break }
            last = end.job
            report.examinedJobs += usages.count
            report.examinedBytes += usages.reduce(0) { $0 + $1.storedBytes }
            let steps = plan.steps(for: usages, live: try await live())
            try await carryOut(steps, &report, progress)
        }
        try await carryOut(plan.stepsForTotal(), &report, progress)
        return report
    }

    private func carryOut(
        _ steps: [RetentionStep], _ report: inout RetentionReport, _ progress: @Sendable (RetentionReport) -> Void
    ) async throws(StorageError) {
        for step in steps {
            if Task.isCancelled { throw .cancelled }
            do throws(StorageError) {
                report.add(step, freed: try await carryOut(step), isArchived: archive != nil)
            } catch .notFound {
                // Deleted by someone else, or by hand.
            } catch {
                if error == .cancelled { throw error }
                report.failures.append(RetentionReport.Failure(job: step.usage.job, error: error))
            }
            progress(report)
        }
    }

    /// Returns the bytes that were freed.
    private func carryOut(_ step: RetentionStep) async throws(StorageError) -> UInt64 {
        guard !isDryRun else { return step.freedBytes }
        if let archive { try await archive(step.usage.job) }
        switch step.measure {
        case .delete:
            try await store.delete(step.usage.job)
            return step.usage.storedBytes
        case .trim(let bytes):
            let rest = try await store.trim(step.usage.job, to: bytes)
            return step.usage.storedBytes - min(rest, step.usage.storedBytes)
        }
    }
}

/// What a run of retention did, or would do.
public struct RetentionReport: Sendable, Equatable {
    /// A job that could not be handled.
    public struct Failure: Sendable, Equatable {
        /// The job.
        public var job: JobID
        /// Why.
        public var error: StorageError
    }

    /// Jobs that the store listed, and bytes it used for them.
    public var examinedJobs = 0
    public var examinedBytes: UInt64 = 0
    /// Jobs of which everything went, by the limit that asked for it.
    public var deletedJobs: [RetentionStep.Cause: Int] = [:]
    /// Jobs of which the oldest part went.
    public var trimmedJobs = 0
    /// Jobs that were copied to the second store before.
    public var archivedJobs = 0
    /// Bytes that are free now.
    public var freedBytes: UInt64 = 0
    /// Jobs that stayed because something failed.
    public var failures: [Failure] = []

    /// Nothing was done.
    public init() {}

    fileprivate mutating func add(_ step: RetentionStep, freed: UInt64, isArchived: Bool) {
        switch step.measure {
        case .delete: deletedJobs[step.cause, default: 0] += 1
        case .trim: trimmedJobs += 1
        }
        if isArchived { archivedJobs += 1 }
        freedBytes += freed
    }
}
