/// Copies samples from one store to another; what `LogCopy` says of logs holds here too.
public struct MetricCopy: Sendable {
    private static let pageSamples = 1000

    private let source: any MetricStore
    private let target: any MetricStore
    private let verifies: Bool

    /// A copy of `source` into `target`; without `verifies` what arrived is not read again.
    public init(from source: any MetricStore, to target: any MetricStore, verifies: Bool = true) {
        self.source = source
        self.target = target
        self.verifies = verifies
    }

    /// Copies every job's samples. A job that fails is counted, and the copy goes on.
    ///
    /// The totals of `progress` are what was listed so far. Throws what listing the source throws, and `cancelled`.
    public func run(
        progress: @Sendable (CopyProgress) -> Void = { _ in }
    ) async throws(StorageError) -> CopyReport {
        var report = CopyReport()
        var state = CopyProgress()
        var last: JobID?
        while true {
            let jobs = try await source.jobs(after: last, limit: 256)
            guard let end = jobs.last else { return report }
            last = end
            state.totalJobs += jobs.count
            for job in jobs {
                do throws(StorageError) {
                    let samples = try await source.statistics(of: job).samples
                    state.totalUnits += samples
                    report.copiedUnits += try await copy(job)
                    report.jobs += 1
                    state.units += samples
                } catch {
                    if error == .cancelled { throw error }
                    report.failures.append(CopyReport.Failure(job: job, error: error))
                }
                state.jobs += 1
                progress(state)
            }
        }
    }

    /// Copies one job's samples and makes them durable in the target; returns how many were missing there.
    ///
    /// Throws `notFound` where the source has none, `corrupt` where what arrived is not what was sent.
    @discardableResult
    public func copy(_ job: JobID) async throws(StorageError) -> UInt64 {
        guard let end = try await source.end(of: job) else { throw .notFound }
        var copied: UInt64 = 0
        var failure: StorageError?
        do throws(StorageError) {
            copied = try await append(job)
        } catch {
            failure = error
        }
        let durable = try await target.sync([job])[job] ?? 0
        try await target.finish(job)
        if let failure { throw failure }
        guard durable >= end else {
            throw .unavailable(reason: "the target keeps job \(job) up to \(durable) rather than \(end)")
        }
        if verifies { try await compare(job, upTo: end) }
        return copied
    }

    private func append(_ job: JobID) async throws(StorageError) -> UInt64 {
        var next = try await target.end(of: job) ?? 0
        var copied: UInt64 = 0
        while true {
            let page = try await source.read(MetricQuery(job: job), from: next, limit: Self.pageSamples)
            for samples in page.samples.consecutive {
                if let first = samples.first, first.sequence > next {
                    try await target.skip(to: first.sequence, of: job)
                }
                try await target.append(samples, to: job)
                copied += UInt64(samples.count)
                next = samples.last.map { $0.sequence + 1 } ?? next
            }
            if page.isLast { return copied }
            next = max(next, page.next)
        }
    }

    private func compare(_ job: JobID, upTo end: UInt64) async throws(StorageError) {
        let query = MetricQuery(job: job, endSequence: end)
        var next: UInt64 = 0
        while true {
            let sent = try await source.read(query, from: next, limit: Self.pageSamples)
            if let first = sent.samples.first, let last = sent.samples.last {
                let part = MetricQuery(job: job, endSequence: last.sequence + 1)
                let arrived = try await target.read(part, from: first.sequence, limit: Self.pageSamples)
                guard arrived.samples == sent.samples else { throw .corrupt(place: "copy of job \(job)") }
            }
            if sent.isLast { return }
            next = sent.next
        }
    }
}

extension [MetricSample] {
    /// The samples in groups whose sequences follow each other.
    fileprivate var consecutive: [[MetricSample]] {
        var groups: [[MetricSample]] = []
        for sample in self {
            if let last = groups.last?.last, last.sequence + 1 == sample.sequence {
                groups[groups.count - 1].append(sample)
            } else {
                groups.append([sample])
            }
        }
        return groups
    }
}
