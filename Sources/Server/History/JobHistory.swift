import Engine
import Storage

/// Where the history of jobs is asked for: the stores alone, or a daemon with what they do not have yet.
protocol JobHistory: Sendable {
    /// The job whose id begins with `text`; throws `notFound`, or `invalidArgument` where there are several.
    func resolve(_ text: String) async throws -> JobID

    /// Calls `body` with page after page of what is there now, in order.
    func readLog(_ query: LogQuery, from start: LogCursor, _ body: (LogPage) async throws -> Void) async throws

    /// Calls `body` with samples after samples of what is there now, in order.
    func readMetrics(_ query: MetricQuery, _ body: ([MetricSample]) async throws -> Void) async throws

    /// Up to where the job's output is looked at by reads that begin from now on; nil where that is all there is.
    func logExtent(of job: JobID) async throws -> HistoryExtent?

    /// Up to where the job's samples are looked at by reads that begin from now on; nil where that is all there is.
    func metricExtent(of job: JobID) async throws -> HistoryExtent?

    /// Deletes what is stored of the job's output and samples.
    func delete(_ job: JobID) async throws

    /// Throws why the stores do not work.
    func check() async throws
}

/// How much of a job the stores have; what it wrote or used last may still be on its way to them.
struct HistoryExtent: Sendable, Equatable {
    /// The position after the last byte, or the sequence after the last sample.
    var end: UInt64
    /// The time of that byte or sample, nanoseconds since 1970; nil where there is none.
    var time: Int64?
}

/// The history as a daemon knows it: what its stores have, and what its outbox still holds.
struct EngineHistory: JobHistory {
    let engine: JobEngine

    func resolve(_ text: String) async throws -> JobID {
        let id = try await engine.resolveHistory(text)
        _ = try await engine.recordOfHistory(of: id)
        return id
    }

    func readLog(_ query: LogQuery, from start: LogCursor, _ body: (LogPage) async throws -> Void) async throws {
        try await engine.logs.read(LogReader.Request(query: query, start: start, follows: false), body)
    }

    func readMetrics(_ query: MetricQuery, _ body: ([MetricSample]) async throws -> Void) async throws {
        try await engine.metrics.read(query, follows: false, body)
    }

    func logExtent(of job: JobID) async throws -> HistoryExtent? { nil }

    func metricExtent(of job: JobID) async throws -> HistoryExtent? { nil }

    func delete(_ job: JobID) async throws { try await engine.deleteHistory(of: job) }

    func check() async throws { try await engine.checkStores() }
}

/// The history as stores have it, without a daemon.
struct StoredHistory: JobHistory {
    private static let pageBytes = 512 << 10
    private static let pageSamples = 1000

    let stores: WorkerStores

    func resolve(_ text: String) async throws -> JobID {
        guard let prefix = JobIDPrefix(text) else { throw missing(text) }
        // Ten are named where there are several.
        let matches = try await prefix.jobs(in: stores.logs, stores.metrics, limit: 11)
        guard let first = matches.first else { throw missing(text) }
        guard matches.count == 1 else { throw EngineError.ambiguous(prefix, matches) }
        return first
    }

    private func missing(_ text: String) -> EngineError {
        EngineError(.notFound, "job not found: \(text.prefix(64))")
    }

    func readLog(_ query: LogQuery, from start: LogCursor, _ body: (LogPage) async throws -> Void) async throws {
        guard let logs = stores.logs else { throw EngineError(.unimplemented, "this worker keeps no logs") }
        var cursor = start
        while true {
            let page: LogPage
            do {
                page = try await logs.read(query, after: cursor, maxBytes: StoredHistory.pageBytes)
            } catch StorageError.notFound {
                // The job has samples and wrote nothing.
                return
            }
            cursor = page.next
            if !page.fragments.isEmpty { try await body(page) }
            if page.isLast { return }
        }
    }

    func readMetrics(_ query: MetricQuery, _ body: ([MetricSample]) async throws -> Void) async throws {
        guard let metrics = stores.metrics else { throw EngineError(.unimplemented, "this worker keeps no metrics") }
        var sequence: UInt64 = 0
        while true {
            let page: MetricPage
            do {
                page = try await metrics.read(query, from: sequence, limit: StoredHistory.pageSamples)
            } catch StorageError.notFound {
                // The job has output and was never sampled.
                return
            }
            if !page.samples.isEmpty { try await body(page.samples) }
            if page.isLast { return }
            sequence = page.next
            try Task.checkCancellation()
        }
    }

    func logExtent(of job: JobID) async throws -> HistoryExtent? {
        guard let logs = stores.logs, let end = try await logs.end(of: job) else { return HistoryExtent(end: 0) }
        return HistoryExtent(end: end, time: try await last { try await logs.statistics(of: job).times })
    }

    func metricExtent(of job: JobID) async throws -> HistoryExtent? {
        guard let metrics = stores.metrics, let end = try await metrics.end(of: job) else {
            return HistoryExtent(end: 0)
        }
        return HistoryExtent(end: end, time: try await last { try await metrics.statistics(of: job).times })
    }

    private func last(_ times: () async throws -> ClosedRange<Int64>?) async throws -> Int64? {
        do {
            return try await times()?.upperBound
        } catch StorageError.notFound {
            // Deleted since its end was asked for.
            return nil
        }
    }

    func delete(_ job: JobID) async throws {
        if let logs = stores.logs { try await logs.delete(job) }
        if let metrics = stores.metrics { try await metrics.delete(job) }
    }

    func check() async throws { try await stores.check() }
}
