/// Keeps what jobs used, sample by sample.
///
/// The contract is that of `LogStore` with sequence numbers in the place of byte positions:
///
/// - One job's samples arrive in order from one writer; different jobs are written concurrently.
/// - `append` is idempotent by sequence: samples below the store's end are ignored, a run that begins
///   behind the end throws `gap(expected:)` and changes nothing.
/// - What `append` returned from is visible to every later `read`; only what `sync` reported survives
///   the death of the store's process, and only that may be deleted by the writer.
/// - Where the writer no longer has the samples that the store expects, it says so by `skip`.
public protocol MetricStore: PrunableStore {
    /// Makes samples of a job, each sequence one above the one before, visible to readers.
    ///
    /// No samples do nothing. Throws `gap(expected:)` where they begin behind the store's end, `refused`
    /// once the job was deleted, `unavailable` or `quota` where they or the later ones were not stored
    /// and the same call may succeed later.
    func append(_ samples: [MetricSample], to job: JobID) async throws(StorageError)

    /// Gives up the samples between the store's end and `sequence`; nothing where the end is at or past it.
    ///
    /// May become durable with the next sample only.
    func skip(to sequence: UInt64, of job: JobID) async throws(StorageError)

    /// Makes everything appended so far durable and returns the sequence up to which that holds, by job.
    ///
    /// A job that the store does not know, or could not sync, is left out of the answer. Throws where no
    /// job could be synced and one failed.
    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64]

    /// Notes that no more samples of the job will come, so that what was gathered is written and freed.
    func finish(_ job: JobID) async throws(StorageError)

    /// The sequence after the last sample that is visible to readers; nil where the job is not known.
    func end(of job: JobID) async throws(StorageError) -> UInt64?

    /// The next page of a job's samples that match `query`, from `sequence` on, at most `limit` (at least one).
    ///
    /// A sample comes with the points that match; one without any is left out. A page that is not the last
    /// holds at least one sample. Pages are stateless: nothing stays open between two calls. Throws
    /// `notFound` for a job that has no samples, `corrupt` at damage (once the page before it was read),
    /// `cancelled` in a cancelled task.
    func read(_ query: MetricQuery, from sequence: UInt64, limit: Int) async throws(StorageError) -> MetricPage

    /// The jobs that have samples, ascending, from after `job` on, at most `limit`.
    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID]

    /// What the store holds of one job; throws `notFound` for a job that has no samples.
    func statistics(of job: JobID) async throws(StorageError) -> MetricStatistics
}

/// Which part of a job's samples is asked for.
public struct MetricQuery: Sendable, Hashable {
    /// The job.
    public var job: JobID
    /// The types that are wanted.
    public var types: Set<MetricType>
    /// The first time that is wanted, in nanoseconds since 1970, inclusive; nil for the beginning.
    public var since: Int64?
    /// The last time that is wanted, inclusive; nil for the end.
    public var until: Int64?
    /// Where to stop: only samples below this sequence; nil for the end.
    public var endSequence: UInt64?

    /// Everything of `job`, narrowed by the other arguments.
    public init(
        job: JobID, types: Set<MetricType> = Set(MetricType.allCases), since: Int64? = nil, until: Int64? = nil,
        endSequence: UInt64? = nil
    ) {
        self.job = job
        self.types = types
        self.since = since
        self.until = until
        self.endSequence = endSequence
    }

    /// The part of a sample that matches; nil where nothing does.
    public func matching(_ sample: MetricSample) -> MetricSample? {
        guard since.map({ sample.time >= $0 }) ?? true, until.map({ sample.time <= $0 }) ?? true,
            endSequence.map({ sample.sequence < $0 }) ?? true
        else { return nil }
        if types.count == MetricType.allCases.count { return sample }
        let points = sample.points.filter { types.contains($0.type) }
        return points.isEmpty ? nil : MetricSample(sequence: sample.sequence, time: sample.time, points: points)
    }
}

/// A page of a job's samples.
public struct MetricPage: Sendable, Equatable {
    /// The samples that matched, in order.
    public var samples: [MetricSample]
    /// Where the next page begins; for the last page where reading goes on once more was appended.
    public var next: UInt64
    /// Whether everything that is visible and asked for was read.
    public var isLast: Bool

    /// A page with the given contents.
    public init(samples: [MetricSample] = [], next: UInt64, isLast: Bool) {
        self.samples = samples
        self.next = next
        self.isLast = isLast
    }
}

/// What a store holds of one job's samples.
public struct MetricStatistics: Sendable, Hashable {
    /// The number of samples.
    public var samples: UInt64
    /// Bytes the store uses for them, index included.
    public var storedBytes: UInt64
    /// The earliest and the latest time of a sample, nanoseconds since 1970; nil without samples.
    public var times: ClosedRange<Int64>?

    /// Statistics with the given values.
    public init(samples: UInt64, storedBytes: UInt64, times: ClosedRange<Int64>?) {
        self.samples = samples
        self.storedBytes = storedBytes
        self.times = times
    }
}
