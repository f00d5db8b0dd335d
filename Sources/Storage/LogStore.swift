/// Keeps what jobs wrote.
///
/// Every backend passes the one conformance suite; its behaviours are this contract:
///
/// - One job's runs arrive in order from one writer; different jobs are written concurrently.
/// - `append` is idempotent by position: bytes below the store's end are ignored, a run that begins
///   behind the end throws `gap(expected:)` and changes nothing.
/// - What `append` returned from is visible to every later `read`; only what `sync` reported survives
///   a power cut, and only that may be deleted by the writer.
/// - Reads see a prefix of what was appended, in one order of positions, both streams merged.
public protocol LogStore: Sendable {
    /// Makes a run of a job's fragments visible to readers.
    ///
    /// Throws `gap(expected:)` where the run begins behind the store's end, `refused` once the job was
    /// deleted, `unavailable` or `quota` where nothing was stored and the same call may succeed later.
    func append(_ run: FragmentRun, to job: JobID) async throws(StorageError)

    /// Makes everything appended so far durable and returns the position up to which that holds, by job.
    ///
    /// A job that the store does not know is left out of the answer.
    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64]

    /// Notes that no more output of the job will come, so that its files can be closed.
    func finish(_ job: JobID) async throws(StorageError)

    /// The position after the last byte that is visible to readers; nil where the job is not known.
    func end(of job: JobID) async throws(StorageError) -> UInt64?

    /// The next page of a job's fragments that match `query`, after `cursor`.
    ///
    /// A page holds at most `maxBytes` bytes, yet at least one fragment or part of one. Pages are
    /// stateless: nothing stays open between two calls. Throws `notFound` for a job that has no log.
    func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage

    /// A cursor at or before the beginning of the last `lines` lines of the query's streams, found
    /// without reading the whole log where the backend has an index.
    func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor

    /// Removes everything of a job; no error where there is nothing. Later appends are refused.
    func delete(_ job: JobID) async throws(StorageError)

    /// The jobs that have a log, in no order, from after `job` on, at most `limit`.
    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID]

    /// What the store holds of one job.
    func statistics(of job: JobID) async throws(StorageError) -> LogStatistics
}

/// Which part of a job's log is asked for.
public struct LogQuery: Sendable, Hashable {
    /// The job.
    public var job: JobID
    /// The streams that are wanted.
    public var streams: Set<LogStream>
    /// The first time that is wanted, in nanoseconds since 1970, inclusive; nil for the beginning.
    public var since: Int64?
    /// The last time that is wanted, inclusive; nil for the end.
    public var until: Int64?
    /// Where to stop: only bytes below this position; nil for the end.
    public var endPosition: UInt64?

    /// Everything of `job`, narrowed by the other arguments.
    public init(
        job: JobID, streams: Set<LogStream> = Set(LogStream.allCases), since: Int64? = nil,
        until: Int64? = nil, endPosition: UInt64? = nil
    ) {
        self.job = job
        self.streams = streams
        self.since = since
        self.until = until
        self.endPosition = endPosition
    }

    /// Whether a fragment of that stream and time is wanted.
    public func admits(stream: LogStream, time: Int64) -> Bool {
        streams.contains(stream) && since.map { time >= $0 } ?? true && until.map { time <= $0 } ?? true
    }
}

/// A place between two fragments of a job's log, from which reading goes on.
///
/// Gaps take no position, so the cursor counts those at its position that were read already.
public struct LogCursor: Sendable, Hashable, Comparable {
    /// The number of bytes of both streams before the place.
    public var position: UInt64
    /// How many of the gap notes at `position` lie before the place.
    public var gaps: Int

    /// The place before everything at `position`, behind the first `gaps` gap notes there.
    public init(position: UInt64, gaps: Int = 0) {
        self.position = position
        self.gaps = gaps
    }

    /// The beginning of a log.
    public static let start = LogCursor(position: 0)

    public static func < (left: LogCursor, right: LogCursor) -> Bool {
        (left.position, left.gaps) < (right.position, right.gaps)
    }
}

/// A page of a job's log.
public struct LogPage: Sendable, Equatable {
    /// The fragments that matched, by position; filtered ones are left out, so positions may jump.
    public var fragments: [Fragment]
    /// The bytes of the fragments, in their order.
    public var bytes: [UInt8]
    /// Where the next page begins.
    public var next: LogCursor
    /// Whether everything that is visible and asked for was read.
    public var isLast: Bool

    /// A page with the given contents.
    public init(fragments: [Fragment] = [], bytes: [UInt8] = [], next: LogCursor, isLast: Bool) {
        self.fragments = fragments
        self.bytes = bytes
        self.next = next
        self.isLast = isLast
    }

    /// Calls `body` with each fragment and its bytes (none for a gap), in order.
    public func forEach<Failure: Error>(
        _ body: (Fragment, ArraySlice<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        var offset = 0
        for fragment in fragments {
            try body(fragment, bytes[offset..<offset + fragment.count])
            offset += fragment.count
        }
    }
}

/// What a store holds of one job's log.
public struct LogStatistics: Sendable, Hashable {
    /// Bytes the job wrote.
    public var bytes: UInt64
    /// Newline characters among them.
    public var lines: UInt64
    /// Bytes the store uses for them, index included.
    public var storedBytes: UInt64
    /// The time of the first and of the last fragment, nanoseconds since 1970; nil for an empty log.
    public var times: ClosedRange<Int64>?

    /// Statistics with the given values.
    public init(bytes: UInt64, lines: UInt64, storedBytes: UInt64, times: ClosedRange<Int64>?) {
        self.bytes = bytes
        self.lines = lines
        self.storedBytes = storedBytes
        self.times = times
    }
}
