import Kernel
public import Storage

/// Reads a job's samples across the store, the outbox and the present, without a seam.
///
/// The outbox says where it begins; the store is read up to exactly there, then the outbox, then what is added to it.
/// A reader pins nothing: one that falls behind goes on from the store.
public struct MetricReader: Sendable {
    private static let pageSamples = 128

    let store: any MetricStore
    let outbox: MetricOutbox
    /// Whether more samples may come for the job.
    let isOpenEnded: @Sendable (JobID) async -> Bool

    /// Calls `body` with samples after samples, in order, until they end or `body` throws.
    ///
    /// With `follows` it waits for more while the job runs. Throws `StorageError` where the store or the outbox
    /// cannot be read, `EngineError` `unavailable` where the engine is shut down before the end, and
    /// `CancellationError`. Nothing is read ahead: a slow receiver holds one page and stops nobody.
    public func read(
        _ query: MetricQuery, from sequence: UInt64 = 0, follows: Bool,
        _ body: ([MetricSample]) async throws -> Void
    ) async throws {
        if let since = query.since, let until = query.until, since > until { return }
        var next = sequence
        for await _ in outbox.changes(of: query.job) {
            var isWaiting = false
            while !isWaiting {
                // Asked before looking: what ends in between is found by the next look.
                let mayGrow = await isOpenEnded(query.job)
                switch try await outbox.read(query.job, from: next, limit: MetricReader.pageSamples) {
                case .samples(let samples):
                    let found = samples.compactMap(query.matching)
                    if !found.isEmpty { try await body(found) }
                    guard let last = samples.last else { return }
                    next = last.sequence + 1
                    if let until = query.until, last.time > until { return }
                case .released(let base):
                    // Behind what the store lost there is the outbox.
                    next = max(base, try await readStore(query, from: next, upTo: base, body))
                case .absent:
                    next = try await readStore(query, from: next, upTo: nil, body)
                    guard mayGrow, follows else { return }
                    isWaiting = true
                case .waiting:
                    guard follows else { return }
                    isWaiting = true
                case .ended: return
                }
            }
            try Task.checkCancellation()
        }
        try Task.checkCancellation()
        throw EngineError(.unavailable, "the node is shutting down")
    }

    private func readStore(
        _ query: MetricQuery, from sequence: UInt64, upTo end: UInt64?, _ body: ([MetricSample]) async throws -> Void
    ) async throws -> UInt64 {
        var query = query
        query.endSequence = end
        var next = sequence
        while true {
            let page: MetricPage
            do throws(StorageError) {
                page = try await store.read(query, from: next, limit: MetricReader.pageSamples)
            } catch {
                // A job without samples, or whose first ones are still in the outbox.
                if error == .notFound { return next }
                throw error
            }
            next = page.next
            if !page.samples.isEmpty { try await body(page.samples) }
            if page.isLast { return next }
        }
    }
}
