/// A store that can say whether it is sound as a whole.
public protocol CheckableStore: Sendable {
    /// What is wrong with the store as a whole, in words; nothing where it is sound.
    ///
    /// Says nothing about the content of single jobs: reading them all does.
    func integrityProblems() async throws(StorageError) -> [String]
}

/// A store that finds and mends damage in what it keeps.
///
/// Nothing should be written meanwhile.
public protocol RepairableStore: CheckableStore {
    /// Mends what is damaged, job by job, and calls `body` with what was done for each.
    ///
    /// What cannot be brought back is replaced by notes of what is lost; what is sound stays as it is.
    func repair(_ body: @Sendable (JobRepair) -> Void) async throws(StorageError)
}

/// What a repair did for one job.
public struct JobRepair: Sendable, Equatable {
    /// What was done.
    public enum Outcome: Sendable, Equatable {
        /// Nothing was damaged.
        case sound
        /// Damaged parts were replaced by notes; that many bytes are lost.
        case mended(lostBytes: UInt64)
        /// The list of what the job's files hold was lost and made anew from them: that many bytes are there. The
        /// order between the streams and the times are lost.
        case rebuilt(bytes: UInt64)
        /// It could not be mended.
        case failed(StorageError)
    }

    /// The job.
    public var job: JobID
    /// What was done.
    public var outcome: Outcome

    /// A job's repair.
    public init(job: JobID, outcome: Outcome) {
        self.job = job
        self.outcome = outcome
    }
}
