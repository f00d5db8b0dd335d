/// Reads a whole log store and checks that it keeps its promises.
///
/// Reading checks every checksum that the backend has; this adds the order of positions and times, gaps, and what
/// statistics say.
public struct LogVerification: Sendable {
    /// Something that is wrong with a log.
    public enum Problem: Sendable, Equatable {
        /// What is stored is damaged there.
        case damage(place: String)
        /// The log could not be read.
        case unreadable(StorageError)
        /// A fragment lies before the end of the one before it.
        case order(position: UInt64)
        /// Bytes from `position` on are missing, and no note says so.
        case gap(position: UInt64, bytes: UInt64)
        /// A fragment is earlier than the one before it.
        case time(position: UInt64)
        /// The store counts otherwise than what was read: `what` names the number.
        case count(what: String, stored: UInt64, read: UInt64)
    }

    /// What was found out about one job.
    public struct JobReport: Sendable {
        /// The job.
        public var job: JobID
        /// What was read, and its checksum.
        public var digest = LogDigest()
        /// Bytes that the store uses.
        public var storedBytes: UInt64 = 0
        /// What is wrong; nothing for a sound log.
        public var problems: [Problem] = []
    }

    /// What was found out about a store.
    public struct Report: Sendable, Equatable {
        /// Jobs that were looked at.
        public var jobs = 0
        /// Those with problems.
        public var damagedJobs = 0
        /// Bytes of output.
        public var bytes: UInt64 = 0
        /// Lines of output.
        public var lines: UInt64 = 0
        /// Bytes that it takes in the store.
        public var storedBytes: UInt64 = 0

        /// Nothing was looked at.
        public init() {}
    }

    private static let pageBytes = 1 << 20

    private let store: any LogStore

    /// A verification of `store`, in which nothing should be written meanwhile.
    public init(of store: any LogStore) {
        self.store = store
    }

    /// Checks every log from after `job` on, and calls `body` with what was found out about each.
    public func run(
        after job: JobID? = nil, _ body: @Sendable (JobReport) -> Void = { _ in }
    ) async throws(StorageError) -> Report {
        var report = Report()
        var last = job
        while true {
            let usages = try await store.usages(after: last, limit: 256)
            guard let end = usages.last else { return report }
            last = end.job
            for usage in usages {
                let found = try await check(usage.job)
                report.jobs += 1
                if !found.problems.isEmpty { report.damagedJobs += 1 }
                report.bytes += found.digest.bytes
                report.lines += found.digest.lines
                report.storedBytes += usage.storedBytes
                body(found)
            }
        }
    }

    /// Checks one log. Throws only `cancelled`.
    public func check(_ job: JobID) async throws(StorageError) -> JobReport {
        var report = JobReport(job: job)
        do throws(StorageError) {
            try await check(job, &report)
        } catch {
            switch error {
            case .cancelled: throw error
            case .corrupt(let place): report.problems.append(.damage(place: place))
            default: report.problems.append(.unreadable(error))
            }
        }
        return report
    }

    private func check(_ job: JobID, _ report: inout JobReport) async throws(StorageError) {
        let end = try await store.end(of: job)
        let statistics = try await store.statistics(of: job)
        report.storedBytes = statistics.storedBytes
        var order = FragmentOrder()
        var cursor = LogCursor.start
        while true {
            let page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: Self.pageBytes)
            page.forEach { fragment, bytes in
                report.digest.add(fragment, bytes)
                order.add(fragment)
            }
            if page.isLast { break }
            guard page.next > cursor else { throw .corrupt(place: "log of \(job), a page ends where it began") }
            cursor = page.next
        }
        report.problems += order.problems
        let counts = [
            ("bytes", statistics.bytes, report.digest.bytes), ("lines", statistics.lines, report.digest.lines),
            ("end", end ?? 0, order.end),
        ]
        for (what, stored, read) in counts where stored != read {
            report.problems.append(.count(what: what, stored: stored, read: read))
        }
    }
}

/// Checks that fragments follow each other.
private struct FragmentOrder {
    /// As many problems of one log as are worth reading.
    private static let limit = 100

    private(set) var problems: [LogVerification.Problem] = []
    private(set) var end: UInt64 = 0
    private var time = Int64.min

    mutating func add(_ fragment: Fragment) {
        if fragment.position < end { note(.order(position: fragment.position)) }
        if fragment.position > end, !explains(fragment, fragment.position - end) {
            note(.gap(position: end, bytes: fragment.position - end))
        }
        if fragment.time < time { note(.time(position: fragment.position)) }
        end = max(end, fragment.end)
        time = max(time, fragment.time)
    }

    /// Whether a fragment is a note of at least so many lost bytes before it.
    private func explains(_ fragment: Fragment, _ lost: UInt64) -> Bool {
        if case .dropped(let bytes) = fragment.content { bytes >= lost } else { false }
    }

    private mutating func note(_ problem: LogVerification.Problem) {
        if problems.count < Self.limit { problems.append(problem) }
    }
}
