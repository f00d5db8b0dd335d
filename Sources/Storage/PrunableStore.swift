/// A store whose data can be given up, job by job: what retention needs of logs and of metrics.
public protocol PrunableStore: Sendable {
    /// What the store holds of each job, by ascending job, from after `job` on, at most `limit`.
    ///
    /// A job whose data is damaged is listed too, with what can be told without reading it.
    func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage]

    /// Drops the oldest part of an ended job's data until the rest takes at most `bytes`; returns what it takes then.
    ///
    /// Readers find what is left where it was, behind a note or a first place that is not the beginning.
    /// The newest part is kept as far as it fits. Either all of it happens or nothing, whenever the process
    /// or, with `power`, the host dies. Throws `notFound` for a job that the store does not have.
    func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64

    /// Removes everything of a job; no error where there is nothing. Later appends are refused either
    /// way, also after the store was opened again.
    func delete(_ job: JobID) async throws(StorageError)

    /// Asks what is behind the store for something small, rather than memory; throws why it does not work.
    func checkBackend() async throws(StorageError)
}

/// What a store holds of one job.
public struct JobUsage: Sendable, Hashable {
    /// The job.
    public var job: JobID
    /// Bytes the store uses for it, index included.
    public var storedBytes: UInt64
    /// The earliest and the latest time in its data, nanoseconds since 1970; nil where that is not known.
    public var times: ClosedRange<Int64>?

    /// A job's usage.
    public init(job: JobID, storedBytes: UInt64, times: ClosedRange<Int64>?) {
        self.job = job
        self.storedBytes = storedBytes
        self.times = times
    }
}

extension LogStore {
    /// The check of a store that looks for its jobs where they are stored.
    public func checkBackend() async throws(StorageError) { _ = try await jobs(after: nil, limit: 1) }

    /// The usages of a store that has no shorter way to them than each job's statistics.
    public func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await JobUsage.list(try await jobs(after: job, limit: limit)) { job throws(StorageError) in
            let statistics = try await statistics(of: job)
            return JobUsage(job: job, storedBytes: statistics.storedBytes, times: statistics.times)
        }
    }
}

extension MetricStore {
    /// The check of a store that looks for its jobs where they are stored.
    public func checkBackend() async throws(StorageError) { _ = try await jobs(after: nil, limit: 1) }

    /// The usages of a store that has no shorter way to them than each job's statistics.
    public func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await JobUsage.list(try await jobs(after: job, limit: limit)) { job throws(StorageError) in
            let statistics = try await statistics(of: job)
            return JobUsage(job: job, storedBytes: statistics.storedBytes, times: statistics.times)
        }
    }
}

extension JobUsage {
    fileprivate static func list(
        _ jobs: [JobID], _ usage: (JobID) async throws(StorageError) -> JobUsage
    ) async throws(StorageError) -> [JobUsage] {
        var usages: [JobUsage] = []
        for job in jobs {
            do throws(StorageError) {
                usages.append(try await usage(job))
            } catch .notFound {
                // It was deleted since the list was made.
                continue
            } catch .corrupt {
                usages.append(JobUsage(job: job, storedBytes: 0, times: nil))
            }
        }
        return usages
    }
}
