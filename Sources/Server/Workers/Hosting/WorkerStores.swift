public import Storage

/// The stores that a worker offers; calls of the others are refused.
public struct WorkerStores: Sendable {
    /// The store of the jobs' output.
    public var logs: (any LogStore)?
    /// The store of the jobs' samples.
    public var metrics: (any MetricStore)?
    /// The store of job records.
    public var jobs: (any JobStore)?

    /// The given stores.
    public init(logs: (any LogStore)? = nil, metrics: (any MetricStore)? = nil, jobs: (any JobStore)? = nil) {
        self.logs = logs
        self.metrics = metrics
        self.jobs = jobs
    }

    /// Asks each store for something small; throws the first failure.
    public func check() async throws(StorageError) {
        if let logs { try await logs.checkBackend() }
        if let metrics { try await metrics.checkBackend() }
        if let jobs { _ = try await jobs.list(JobQuery(), after: nil, limit: 1) }
    }
}
