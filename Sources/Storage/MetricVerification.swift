/// Reads a whole metric store and checks that it keeps its promises; what `LogVerification` is for logs.
public struct MetricVerification: Sendable {
    /// Something that is wrong with a job's samples.
    public enum Problem: Sendable, Equatable {
        /// What is stored is damaged there.
        case damage(place: String)
        /// The samples could not be read.
        case unreadable(StorageError)
        /// A sample does not lie behind the one before it.
        case order(sequence: UInt64)
        /// A sample is earlier than the one before it.
        case time(sequence: UInt64)
        /// The store counts otherwise than what was read: `what` names the number.
        case count(what: String, stored: UInt64, read: UInt64)
    }

    /// What was found out about one job.
    public struct JobReport: Sendable {
        /// The job.
        public var job: JobID
        /// Samples that were read.
        public var samples: UInt64 = 0
        /// What is wrong; nothing for sound samples.
        public var problems: [Problem] = []
    }

    /// What was found out about a store.
    public struct Report: Sendable, Equatable {
        /// Jobs that were looked at.
        public var jobs = 0
        /// Those with problems.
        public var damagedJobs = 0
        /// Samples that were read.
        public var samples: UInt64 = 0

        /// Nothing was looked at.
        public init() {}
    }

    private static let pageSamples = 1000
    /// As many problems of one job as are worth reading.
    private static let problemLimit = 100

    private let store: any MetricStore

    /// A verification of `store`, in which nothing should be written meanwhile.
    public init(of store: any MetricStore) {
        self.store = store
    }

    /// Checks every job's samples and calls `body` with what was found out about each.
    public func run(_ body: @Sendable (JobReport) -> Void = { _ in }) async throws(StorageError) -> Report {
        var report = Report()
        var last: JobID?
        while true {
            let jobs = try await store.jobs(after: last, limit: 256)
            guard let end = jobs.last else { return report }
            last = end
            for job in jobs {
                let found = try await check(job)
                report.jobs += 1
                if !found.problems.isEmpty { report.damagedJobs += 1 }
                report.samples += found.samples
                body(found)
            }
        }
    }

    /// Checks one job's samples. Throws only `cancelled`.
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
        let stored = try await store.statistics(of: job).samples
        var next: UInt64 = 0
        var least: UInt64 = 0
        var time = Int64.min
        while true {
            let page = try await store.read(MetricQuery(job: job), from: next, limit: Self.pageSamples)
            for sample in page.samples {
                if sample.sequence < least { report.note(.order(sequence: sample.sequence), Self.problemLimit) }
                if sample.time < time { report.note(.time(sequence: sample.sequence), Self.problemLimit) }
                least = sample.sequence + 1
                time = max(time, sample.time)
            }
            report.samples += UInt64(page.samples.count)
            if page.isLast { break }
            guard page.next > next else { throw .corrupt(place: "samples of \(job), a page ends where it began") }
            next = page.next
        }
        if stored != report.samples {
            report.problems.append(.count(what: "samples", stored: stored, read: report.samples))
        }
    }
}

extension MetricVerification.JobReport {
    fileprivate mutating func note(_ problem: MetricVerification.Problem, _ limit: Int) {
        if problems.count < limit { problems.append(problem) }
    }
}
