public import Storage

/// What is stored of jobs, apart from their records.
extension JobEngine {
    /// Deletes the stored output of a job that has ended; its record stays.
    ///
    /// Throws `failedPrecondition` where output may still come, `unavailable` where the store cannot delete now.
    public func deleteLog(of id: JobID) async throws(EngineError) {
        let record = try await record(of: id)
        guard record.status.isTerminal else {
            throw EngineError(.failedPrecondition, "job \(id) has not ended")
        }
        guard hot[id]?.isLogComplete ?? true else {
            throw EngineError(.failedPrecondition, "the output of job \(id) is still being stored")
        }
        do throws(StorageError) {
            try await logStore.delete(id)
        } catch {
            throw EngineError(.unavailable, "the log of job \(id) cannot be deleted: \(error)")
        }
    }

    /// Asks the stores for something small; throws why they do not work.
    public nonisolated func checkStores() async throws(StorageError) {
        _ = try await logStore.jobs(after: nil, limit: 1)
        _ = try await jobStore.list(JobQuery(node: identity.id), after: nil, limit: 1)
    }
}
