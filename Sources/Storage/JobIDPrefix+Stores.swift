extension JobIDPrefix {
    /// The jobs with this prefix of which `logs` has output or `metrics` samples: all, or at least `limit` of them.
    public func jobs(
        in logs: (any LogStore)?, _ metrics: (any MetricStore)?, limit: Int
    ) async throws(StorageError) -> Set<JobID> {
        var found: Set<JobID> = []
        if let logs { found.formUnion(try await logs.jobs(after: predecessor, limit: limit)) }
        if let metrics { found.formUnion(try await metrics.jobs(after: predecessor, limit: limit)) }
        return found.filter { matches($0) }
    }
}
