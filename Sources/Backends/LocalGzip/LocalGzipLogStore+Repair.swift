public import Storage

extension LocalGzipLogStore: RepairableStore {
    /// Nothing but the jobs' own files is there.
    public func integrityProblems() async throws(StorageError) -> [String] { [] }

    /// Cuts what is behind the last commit, replaces damaged blocks by notes, and makes a lost index anew from the
    /// data files.
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
