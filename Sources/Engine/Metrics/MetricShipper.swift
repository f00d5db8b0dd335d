import Kernel
import Logging
import Storage

/// Brings the samples of the node's jobs from the outbox to their store.
struct MetricShipper: Sendable {
    private static let page = 256
    /// Jobs that are shipped at the same time, so that a store can write what they have together.
    private static let width = 32

    let outbox: MetricOutbox
    let store: any MetricStore
    let condition: StoreCondition
    let logger: Logger
    /// Hears of each job all of whose samples the store has, or refuses for good.
    let didComplete: @Sendable (JobID) async -> Void

    /// Ships until the outbox is closed or the task is cancelled.
    func run() async {
        var backOff = BackOff()
        var reported: Set<JobID> = []
        for await _ in outbox.work {
            while true {
                let due = await outbox.due()
                if due.isEmpty { break }
                var hasFailed = false
                for (job, failure) in await ship(due) {
                    guard let failure else {
                        condition.works()
                        reported.remove(job)
                        continue
                    }
                    if Task.isCancelled { return }
                    condition.fails(failure)
                    hasFailed = true
                    guard reported.insert(job).inserted else { continue }
                    logger.warning(
                        "a job's samples wait for their store", metadata: ["jobId": "\(job)", "error": "\(failure)"])
                }
                guard hasFailed else {
                    backOff.reset()
                    continue
                }
                guard await backOff.wait() else { return }
            }
        }
    }

    /// Ships some jobs; returns each with what failed.
    private func ship(_ jobs: [JobID]) async -> [(JobID, StorageError?)] {
        await withTaskGroup(of: (JobID, StorageError?).self) { group in
            var results: [(JobID, StorageError?)] = []
            for (index, job) in jobs.enumerated() {
                if index >= MetricShipper.width, let result = await group.next() { results.append(result) }
                group.addTask {
                    do throws(StorageError) {
                        try await ship(job)
                        return (job, nil)
                    } catch {
                        return (job, error)
                    }
                }
            }
            for await result in group { results.append(result) }
            return results
        }
    }

    private func ship(_ job: JobID) async throws(StorageError) {
        guard let stock = try await outbox.stock(of: job, limit: MetricShipper.page) else { return }
        do throws(StorageError) {
            if stock.end > 0 { try await ship(job, stock) }
        } catch {
            // Deleted in the store: nobody wants them.
            guard case .refused = error else { throw error }
        }
        await outbox.shown(job, upTo: stock.end)
        guard stock.isSyncDue else { return }
        // A store may answer long after the engine was shut down: then the outbox belongs to the next daemon.
        if Task.isCancelled { throw .cancelled }
        if try await outbox.shipped(job, upTo: stock.end) { await didComplete(job) }
    }

    private func ship(_ job: JobID, _ stock: MetricOutbox.Stock) async throws(StorageError) {
        var next: UInt64
        if let stored = stock.stored { next = stored } else { next = try await store.end(of: job) ?? 0 }
        if next < stock.base {
            // Released samples were durable in the store once: it was damaged or replaced since.
            logger.error(
                "the store lost samples", metadata: ["jobId": "\(job)", "samples": "\(stock.base - next)"])
            try await store.skip(to: stock.base, of: job)
            next = stock.base
        }
        var samples = stock.samples
        while next < stock.end {
            if samples.isEmpty,
                case .samples(let page) = try await outbox.read(job, from: next, limit: MetricShipper.page)
            {
                samples = page
            }
            guard let first = samples.first, let last = samples.last else {
                throw .unavailable(reason: "the outbox was released while it was read")
            }
            if first.sequence > next {
                logger.error(
                    "samples in the outbox were damaged",
                    metadata: ["jobId": "\(job)", "samples": "\(first.sequence - next)"])
                try await store.skip(to: first.sequence, of: job)
            }
            try FailPoint.passStorage("metrics.beforeShip")
            try await store.append(samples, to: job)
            next = last.sequence + 1
            samples = []
        }
        guard stock.isSyncDue else { return }
        try FailPoint.passStorage("metrics.beforeSync")
        guard let durable = try await store.sync([job])[job], durable >= stock.end else {
            throw .unavailable(reason: "the last samples are not durable yet")
        }
        // Last: a store may look at its files again once it has let go of a job.
        if stock.isLast { try await store.finish(job) }
        try FailPoint.passStorage("metrics.beforeRelease")
    }
}

extension FailPoint {
    /// Passes a place in the way of a store.
    fileprivate static func passStorage(_ name: StaticString) throws(StorageError) {
        do throws(SystemCallError) {
            try pass(name)
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }
}
