public import Storage

extension LocalGzipLogStore: RepairableStore {
    /// Names jobs whose files do not end with their last record, as after a write that was interrupted and not repeated.
    public func integrityProblems() async throws(StorageError) -> [String] {
        var problems: [String] = []
        for job in try await directories() {
            if Task.isCancelled { throw .cancelled }
            guard let torn = try await shard(of: job).tornEnd(of: job), !torn.isEmpty else { continue }
            let unnamed = torn.unnamed.values.reduce(0, +)
            problems.append(
                torn.missingBytes > 0
                    ? "the files of job \(job) end before \(torn.missingBytes) bytes that its index has"
                    : "the files of job \(job) have \(unnamed) bytes that its index does not name")
        }
        return problems
    }

    /// Replaces damaged blocks by notes, takes text that no record names into the log, and makes a lost index anew from
    /// the data files.
    public func repair(_ body: @Sendable (JobRepair) -> Void) async throws(StorageError) {
        for job in try await directories() {
            if Task.isCancelled { throw .cancelled }
            do throws(StorageError) {
                guard let outcome = try await shard(of: job).repair(job) else { continue }
                body(JobRepair(job: job, outcome: outcome))
            } catch {
                body(JobRepair(job: job, outcome: .failed(error)))
            }
        }
    }
}
