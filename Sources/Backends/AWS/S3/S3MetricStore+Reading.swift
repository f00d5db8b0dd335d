import Backends
public import Storage

extension S3MetricStore {
    /// Text that is inflated for a page at once.
    private static let readText = 4 << 20

    public func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await open()
        guard let end = try await series(of: job)?.end, end > 0 else { return nil }
        return end
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await listedJobs(after: job, limit: limit)
    }

    public func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await listedUsages(after: job, limit: limit)
    }

    public func statistics(of job: JobID) async throws(StorageError) -> MetricStatistics {
        try await existingSeries(of: job).statistics
    }

    public func read(
        _ query: MetricQuery, from sequence: UInt64, limit: Int
    ) async throws(StorageError) -> MetricPage {
        if Task.isCancelled { throw .cancelled }
        return try await whileObjectsMove(of: query.job) { () async throws(StorageError) in
            try await page(query, from: sequence, limit: limit, in: existingSeries(of: query.job))
        }
    }

    private func page(
        _ query: MetricQuery, from sequence: UInt64, limit: Int, in metrics: S3Metrics
    ) async throws(StorageError) -> MetricPage {
        // Samples are appended while requests are under way: what is read is how it stands now.
        let (stored, sealed, tail) = (metrics.blocks, metrics.sealed, metrics.tail)
        var page = MetricPageBuilder(query, from: sequence, limit: limit)
        func isWanted(_ header: MetricBlockHeader) -> Bool {
            header.member.end > page.position && query.since.map { header.times.upperBound >= $0 } ?? true
        }
        func isPast(_ first: UInt64, _ time: Int64) -> Bool {
            first >= query.endSequence ?? .max || page.isPast(time)
        }
        var ahead: [[MetricSample]] = []
        for (index, header) in (stored.map(\.header) + sealed.map(\.header)).enumerated() {
            if isPast(header.member.first, header.member.earliest) { return page.finished(at: tail.end) }
            guard isWanted(header) else { continue }
            if Task.isCancelled { throw .cancelled }
            let samples: [MetricSample]
            do throws(StorageError) {
                if index >= stored.count {
                    guard let content = content(of: sealed[index - stored.count]) else {
                        throw .corrupt(place: "a block of job \(query.job) in memory")
                    }
                    samples = content
                } else {
                    if ahead.isEmpty {
                        var (count, text) = (Int(header.member.count), header.textLength)
                        ahead = try await contents(
                            from: index, in: stored, of: query.job,
                            where: { isWanted($0) && !isPast($0.member.first, $0.member.earliest) }
                        ) { header in
                            defer { (count, text) = (count + Int(header.member.count), text + header.textLength) }
                            return count < limit && text < Self.readText
                        }.reversed()
                    }
                    samples = ahead.removeLast()
                }
            } catch {
                // What was read before the damage comes first.
                guard case .corrupt = error, !page.isEmpty else { throw error }
                return page.unfinished
            }
            for sample in samples where !page.add(sample) { return page.unfinished }
        }
        if tail.count > 0, tail.end > page.position, !isPast(tail.first, tail.earliest) {
            for sample in tail.samples where !page.add(sample) { return page.unfinished }
        }
        return page.finished(at: tail.end)
    }
}
