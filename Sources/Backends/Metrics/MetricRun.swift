package import Storage

/// What of a run of samples a store has yet to take.
package enum MetricRun {
    /// The samples at and behind `end`; throws `gap` where they begin behind it.
    package static func unknown(
        _ samples: [MetricSample], toStoreEndingAt end: UInt64
    ) throws(StorageError) -> ArraySlice<MetricSample> {
        guard let first = samples.first else { return [] }
        guard first.sequence <= end else { throw .gap(expected: end) }
        return samples.dropFirst(Int(clamping: end - first.sequence))
    }
}

/// Gathers the samples of a page.
package struct MetricPageBuilder {
    private let query: MetricQuery
    private let limit: Int
    private var samples: [MetricSample] = []
    private var next: UInt64

    /// An empty page of `query` from `sequence` on.
    package init(_ query: MetricQuery, from sequence: UInt64, limit: Int) {
        self.query = query
        self.limit = max(1, limit)
        next = sequence
    }

    /// Whether nothing was found yet.
    package var isEmpty: Bool { samples.isEmpty }

    /// Where reading goes on.
    package var position: UInt64 { next }

    /// Whether samples of that time, and all behind them, are too late for the query.
    package func isPast(_ time: Int64) -> Bool { query.until.map { time > $0 } ?? false }

    /// Takes a sample where it is wanted; false where the page was full before.
    package mutating func add(_ sample: MetricSample) -> Bool {
        guard sample.sequence >= next else { return true }
        let found = query.matching(sample)
        if found != nil, samples.count == limit { return false }
        if let found { samples.append(found) }
        if sample.sequence < query.endSequence ?? .max { next = sample.sequence + 1 }
        return true
    }

    /// The page, where reading ended before everything was looked at.
    package var unfinished: MetricPage { MetricPage(samples: samples, next: next, isLast: false) }

    /// The page, where everything up to `end`, the store's, was looked at.
    package func finished(at end: UInt64) -> MetricPage {
        MetricPage(samples: samples, next: max(next, min(end, query.endSequence ?? .max)), isLast: true)
    }
}
