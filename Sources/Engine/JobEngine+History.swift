public import Storage

/// What is stored of jobs, apart from their records.
extension JobEngine {
    /// The one job whose id begins with `text` and of which a record, output or samples are stored.
    ///
    /// What was imported has no record, and what is kept longer than its record has none any more. A job with a record
    /// goes before such a one, unless `amongAll`. Throws as ``resolve(_:)`` does.
    public func resolveHistory(_ text: String, amongAll: Bool = false) async throws(EngineError) -> JobID {
        var recorded: JobID?
        do throws(EngineError) {
            recorded = try await resolve(text)
        } catch {
            guard error.code == .notFound else { throw error }
        }
        guard let prefix = JobIDPrefix(text) else {
            throw EngineError(.notFound, "job not found: \(text.prefix(64))")
        }
        if let recorded, !amongAll || prefix.complete != nil { return recorded }
        let deletedBefore = deleted
        var matches: Set<JobID>
        do throws(StorageError) {
            // Ten are named where there are several.
            matches = try await prefix.jobs(in: logStore, metricStore, limit: 11 + deleted.count)
        } catch {
            throw EngineError(.unavailable, "job id \(prefix) cannot be completed: \(error)")
        }
        matches.subtract(deletedBefore.union(deleted))
        if let recorded { matches.insert(recorded) }
        guard let first = matches.first else { throw EngineError(.notFound, "job not found: \(prefix)") }
        guard matches.count == 1 else { throw .ambiguous(prefix, matches) }
        return first
    }

    /// The job's record; nil where only output or samples are stored of it. Throws `notFound` where nothing is.
    public func recordOfHistory(of id: JobID) async throws(EngineError) -> JobRecord? {
        do throws(EngineError) {
            return try await record(of: id)
        } catch {
            guard error.code == .notFound, !deleted.contains(id) else { throw error }
            let isStored: Bool
            do throws(StorageError) {
                if try await logStore.end(of: id) != nil {
                    isStored = true
                } else {
                    isStored = try await metricStore.end(of: id) != nil
                }
            } catch {
                // Damaged data is there; who reads it is told.
                guard case .corrupt = error else {
                    throw EngineError(.unavailable, "what is stored of job \(id) cannot be read: \(error)")
                }
                isStored = true
            }
            // Deleted while the stores were asked.
            guard isStored, !deleted.contains(id) else { throw error }
            return nil
        }
    }

    /// Deletes the stored output and samples of a job that has ended; its record stays.
    ///
    /// Throws `failedPrecondition` where output may still come, `unavailable` where the store cannot delete now.
    public func deleteHistory(of id: JobID) async throws(EngineError) {
        let record = try await recordOfHistory(of: id)
        try checkIsKnown(id)
        guard record?.status.isTerminal ?? true else {
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
