public import Storage

/// What is stored of jobs, apart from their records.
extension JobEngine {
    /// Deletes the stored output and samples of a job that has ended; its record stays.
    ///
    /// Throws `failedPrecondition` where output may still come, `unavailable` where the store cannot delete now.
    public func deleteHistory(of id: JobID) async throws(EngineError) {
        let record = try await record(of: id)
        try checkIsKnown(id)
        guard record.status.isTerminal else {
            throw EngineError(.failedPrecondition, "job \(id) has not ended")
        }
        guard hot[id]?.isLogComplete ?? true else {
            throw EngineError(.failedPrecondition, "the output of job \(id) is still being stored")
        }
        do throws(StorageError) {
            try await logStore.delete(id)
            try await metricStore.delete(id)
        } catch {
            throw EngineError(.unavailable, "the history of job \(id) cannot be deleted: \(error)")
        }
    }

    /// Asks the stores for something small; throws why they do not work.
    ///
    /// They do not work either while it is not known which jobs this node has, or where it must not go on.
    public func checkStores() async throws(StorageError) {
        try await logStore.checkBackend()
        try await metricStore.checkBackend()
        _ = try await jobStore.list(JobQuery(node: identity.id), after: nil, limit: 1)
        if let openQuestions { throw openQuestions.problem }
    }
}
