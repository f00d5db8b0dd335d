import Backends
import BenchmarkSupport
import Foundation
import Storage

/// What it takes to see the last minute of a log of 1 GB that took an hour, and all of it.
struct QueryBenchmark {
    let surroundings: Surroundings

    func run() async throws -> [Figure] {
        let log = SampleLog(megabytes: 1000)
        let directory = surroundings.work + "/query"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try LocalGzipLogStore(directory: directory, durability: surroundings.durability)
        _ = try await log.ingest(into: store)
        // A store that knows nothing yet but what is in its files.
        let reopened = try LocalGzipLogStore(directory: directory, durability: surroundings.durability)
        let codec = try BareCodec(log)
        var last: [Double] = []
        var whole: [Double] = []
        for _ in 0..<3 {
            for _ in 0..<20 { last.append(try await lastMinute(of: log, in: reopened)) }
            whole.append(try await log.readBack(from: reopened) * 1000)
        }
        let inflate = codec.inflateSeconds * 1000
        return [
            Figure("query.last_minute_ms", last.median, "ms", floor: inflate / 60, better: .lower),
            Figure("query.last_minute_p95_ms", last.percentile(95), "ms", floor: inflate / 60, better: .lower),
            Figure("query.full_scan_ms", whole.median, "ms", floor: inflate, better: .lower),
        ]
    }

    /// Milliseconds to read what was written in the last minute.
    private func lastMinute(of log: SampleLog, in store: any LogStore) async throws -> Double {
        let since = log.lastTime - 60_000_000_000
        let start = ContinuousClock.now
        var cursor = LogCursor.start
        var bytes = 0
        while true {
            let page = try await store.read(LogQuery(job: log.job, since: since), after: cursor, maxBytes: 1 << 20)
            if let first = page.fragments.first, first.time < since { throw Wrong("an earlier line was read") }
            bytes += page.bytes.count
            cursor = page.next
            if page.isLast { break }
        }
        let milliseconds = (ContinuousClock.now - start).milliseconds
        guard abs(bytes - log.bytes / 60) <= 64 << 10 else { throw Wrong("the last minute has \(bytes) bytes") }
        return milliseconds
    }
}
