public import Storage

/// Keeps samples in memory: the reference for other backends, and the store of tests.
public actor MemoryMetricStore: MetricStore {
    private struct Series {
        var samples: [MetricSample] = []
        var end: UInt64 = 0
    }

    private var series: [JobID: Series] = [:]
    private var deleted: Set<JobID> = []

    /// An empty store.
    public init() {}

    public func append(_ samples: [MetricSample], to job: JobID) throws(StorageError) {
        try checkNotDeleted(job)
        let news = try MetricRun.unknown(samples, toStoreEndingAt: series[job]?.end ?? 0)
        guard let last = news.last else { return }
        series[job, default: Series()].samples += news
        series[job]?.end = last.sequence + 1
    }

    public func skip(to sequence: UInt64, of job: JobID) throws(StorageError) {
        try checkNotDeleted(job)
        guard sequence > series[job]?.end ?? 0 else { return }
        series[job, default: Series()].end = sequence
    }

    public func sync(_ jobs: [JobID]) -> [JobID: UInt64] {
        var ends: [JobID: UInt64] = [:]
        for job in jobs { ends[job] = series[job]?.end }
        return ends
    }

    public func finish(_ job: JobID) {}

    public func end(of job: JobID) -> UInt64? { series[job]?.end }

    public func read(_ query: MetricQuery, from sequence: UInt64, limit: Int) throws(StorageError) -> MetricPage {
        if Task.isCancelled { throw .cancelled }
        guard let series = series[query.job], !series.samples.isEmpty else { throw .notFound }
        var page = MetricPageBuilder(query, from: sequence, limit: limit)
        for sample in series.samples[series.samples.partition(from: sequence)...] where !page.add(sample) {
            return page.unfinished
        }
        return page.finished(at: series.end)
    }

    public func delete(_ job: JobID) {
        series[job] = nil
        deleted.insert(job)
    }

    public func jobs(after job: JobID?, limit: Int) -> [JobID] {
        let later = series.filter { id, series in !series.samples.isEmpty && job.map { id > $0 } ?? true }
        return Array(later.keys.sorted().prefix(max(0, limit)))
    }

    public func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 {
        guard let samples = series[job]?.samples, !samples.isEmpty else { throw .notFound }
        var kept = samples.endIndex
        var size: UInt64 = 0
        while kept > samples.startIndex {
            var text: [UInt8] = []
            MetricLines.append(samples[kept - 1], to: &text)
            guard size + UInt64(text.count) <= bytes else { break }
            size += UInt64(text.count)
            kept -= 1
        }
        series[job]?.samples.removeFirst(kept)
        return size
    }

    public func statistics(of job: JobID) throws(StorageError) -> MetricStatistics {
        guard let samples = series[job]?.samples, let first = samples.first, let last = samples.last else {
            throw .notFound
        }
        var text: [UInt8] = []
        for sample in samples { MetricLines.append(sample, to: &text) }
        return MetricStatistics(
            samples: UInt64(samples.count), storedBytes: UInt64(text.count), times: first.time...last.time)
    }

    private func checkNotDeleted(_ job: JobID) throws(StorageError) {
        if deleted.contains(job) { throw .refused(reason: "the samples were deleted") }
    }
}

extension [MetricSample] {
    /// The index of the first sample at or behind `sequence`; they are in order.
    func partition(from sequence: UInt64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
