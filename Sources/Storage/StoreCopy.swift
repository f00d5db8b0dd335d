/// How far a copy is.
public struct CopyProgress: Sendable, Equatable {
    /// Jobs that are done, and all there are.
    public var jobs = 0
    public var totalJobs = 0
    /// Bytes, samples or records that are done, and all there are; those that the target had before count as done.
    public var units: UInt64 = 0
    public var totalUnits: UInt64 = 0

    /// Nothing is done yet.
    public init() {}
}

/// What a copy did.
public struct CopyReport: Sendable, Equatable {
    /// A job that was not copied, or not whole.
    public struct Failure: Sendable, Equatable {
        /// The job.
        public var job: JobID
        /// Why.
        public var error: StorageError

        /// A failure.
        public init(job: JobID, error: StorageError) {
            self.job = job
            self.error = error
        }
    }

    /// Jobs that the target has whole now.
    public var jobs = 0
    /// Bytes, samples or records that were copied; not those that the target had before.
    public var copiedUnits: UInt64 = 0
    /// Jobs that were not copied, or not whole.
    public var failures: [Failure] = []

    /// Nothing was done.
    public init() {}
}
