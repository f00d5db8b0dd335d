/// Keeps what jobs wrote.
///
/// Every backend passes the one conformance suite; its behaviours are this contract:
///
/// - One job's runs arrive in order from one writer; different jobs are written concurrently.
/// - `append` is idempotent by position: bytes and gap notes below the store's end are ignored, a run
///   that begins behind the end throws `gap(expected:)` and changes nothing. A gap note exactly at the
///   end is ignored where an equal one (stream, time, bytes) is there already.
/// - What `append` returned from is visible to every later `read`; only what `sync` reported survives
///   the death of the store's process (or of the host, where the store was made for that), and only
///   that may be deleted by the writer. After such a death the end may lie further back than before:
///   the next run is answered by `gap(expected:)`, and the writer goes on from there.
/// - Where the writer no longer has the bytes that the store expects, it says so by `skip`.
/// - Reads see a prefix of what was appended, in one order of positions, both streams merged.
///   Neighbouring bytes of one stream and one time may come back as one fragment or as several.
public protocol LogStore: PrunableStore {
    /// Makes a run of a job's fragments visible to readers.
    ///
    /// An empty run does nothing. Throws `gap(expected:)` where the run begins behind the store's end,
    /// `refused` once the job was deleted, `unavailable` or `quota` where the run or its later part was
    /// not stored and the same call may succeed later.
    func append(_ run: FragmentRun, to job: JobID) async throws(StorageError)

    /// Gives up the bytes between the store's end and `position`: runs go on from there.
    ///
    /// Readers find a gap note of the lost bytes at `position`, in `stdout`. Nothing happens where the
    /// end is at or past `position`; a job without a log gets one. Throws as `append` does.
    func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError)

    /// Makes everything appended so far durable and returns the position up to which that holds, by job.
    ///
    /// A job that the store does not know, or could not sync, is left out of the answer: only positions
    /// in it are durable. Throws where no job could be synced and one failed. Costs a write a job, and seals what
    /// a backend would otherwise gather into larger blocks: call it when a segment can be released, not
    /// after each run.
    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64]

    /// Notes that no more output of the job will come, so that what was gathered is written and freed.
    ///
    /// Not a promise: a run that comes after all is appended as ever. Nothing for a job that is not known.
    func finish(_ job: JobID) async throws(StorageError)

    /// The position after the last byte that is visible to readers; nil where the job is not known.
    func end(of job: JobID) async throws(StorageError) -> UInt64?

    /// The next page of a job's fragments that match `query`, after `cursor`.
    ///
    /// A page holds at most `maxBytes` bytes (at least one) and `LogPage.maximumFragments` fragments; a
    /// page that is not the last holds at least one fragment or part of one. Pages are stateless:
    /// nothing stays open between two calls. Throws `notFound` for a job that has no log, `corrupt` at
    /// damage (once the page before it was read), `cancelled` in a cancelled task.
    func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage

    /// A cursor at or before the beginning of the last `lines` lines that match `query`, found without
    /// reading the whole log where the backend has an index; behind everything for no lines.
    ///
    /// Lines are counted in each stream for itself; one without its newline at the end counts too.
    /// Throws `notFound` for a job that has no log.
    func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor

    /// The jobs that have a log, ascending, from after `job` on, at most `limit`.
    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID]

    /// What the store holds of one job; throws `notFound` for a job that has no log.
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
    /// Where to stop: only bytes and gap notes at positions below this one; nil for the end.
    public var endPosition: UInt64?
    /// Only lines that contain these bytes, and gap notes; nil for everything.
    ///
    /// Lines are those of what the rest of the query asks for, each stream for itself; where reading begins a line
    /// begins. A page ends with a whole line rather than at its size, which it may exceed by a line and 256 KiB, and
    /// one without any match may be empty and not the last. See `LineFilter` for very long lines.
    public var grep: LinePattern?
    /// Whether a line that the end of what is asked for cuts is taken as it is. Otherwise, with `grep`, the last page
    /// ends before it, and `LogPage.next` is where it begins. Says nothing without `grep`.
    public var endsLines = true

    /// Everything of `job`, narrowed by the other arguments.
    public init(
        job: JobID, streams: Set<LogStream> = Set(LogStream.allCases), since: Int64? = nil,
        until: Int64? = nil, endPosition: UInt64? = nil, grep: LinePattern? = nil
    ) {
        self.job = job
        self.streams = streams
        self.since = since
        self.until = until
        self.endPosition = endPosition
        self.grep = grep
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
    /// The most fragments that a page holds: bounds a page of gap notes, which take no bytes.
    public static let maximumFragments = 65_536

    /// The fragments that matched, by position; filtered ones are left out, so positions may jump.
    public var fragments: [Fragment]
    /// The bytes of the fragments, in their order.
    public var bytes: [UInt8]
    /// Where the next page begins; for the last page where reading goes on once more was appended.
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
    /// Bytes of output that the store holds.
    public var bytes: UInt64
    /// Newline characters among them.
    public var lines: UInt64
    /// Bytes the store uses for them, index included; not those that still wait to be written.
    public var storedBytes: UInt64
    /// The earliest and the latest time of a fragment, nanoseconds since 1970; nil for an empty log.
    public var times: ClosedRange<Int64>?

    /// Statistics with the given values.
    public init(bytes: UInt64, lines: UInt64, storedBytes: UInt64, times: ClosedRange<Int64>?) {
        self.bytes = bytes
        self.lines = lines
        self.storedBytes = storedBytes
        self.times = times
    }
}
