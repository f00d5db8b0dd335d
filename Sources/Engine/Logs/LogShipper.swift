import Kernel
import Logging
import Storage

/// Brings one job's output from the outbox to the store and releases what is durable there.
struct LogShipper: Sendable {
    private static let runBytes = 1 << 20
    /// How long what was written waits for more: a job that lives for milliseconds is looked at once.
    private static let pause = Duration.milliseconds(50)

    let job: JobID
    let durability: Durability
    let store: any LogStore
    let cursor: OutboxCursor
    let watcher: OutboxWatcher
    let condition: StoreCondition
    let logger: Logger
    /// Hears that segments were removed.
    let didRelease: @Sendable () async -> Void

    /// Ships until the log has ended and is durable in the store, or the store refuses it for good. What is left of
    /// the outbox then is for the caller to remove.
    ///
    /// Returns true where there is nothing left to ship, false where the task was cancelled.
    func run() async -> Bool {
        var backOff = BackOff()
        var isReported = false
        while !Task.isCancelled {
            do throws(StorageError) {
                return try await ship { backOff.reset() }
            } catch {
                switch error {
                case .refused: return true
                // A worker that ends cancels the calls that it has: they are made again with the next one.
                case .cancelled where Task.isCancelled: return false
                default:
                    condition.fails(error)
                    if !isReported {
                        logger.warning(
                            "a job's log waits for its store", metadata: ["jobId": "\(job)", "error": "\(error)"])
                    }
                    isReported = true
                    guard await backOff.wait() else { return false }
                }
            }
        }
        return false
    }

    private func ship(_ didProgress: () -> Void) async throws(StorageError) -> Bool {
        var place = LogCursor.start
        /// Whether the store was asked where its log ends.
        var isKnown = false
        var isStored = false
        var released: UInt32 = 0
        for await _ in watcher.changes(of: job, evenIfAbsent: false) {
            do { try await Task.sleep(for: LogShipper.pause) } catch { return false }
            while true {
                let step = try await cursor.read(from: place, maxBytes: LogShipper.runBytes)
                try checkCancellation()
                switch step {
                case .run(let run, let next):
                    if !isKnown {
                        let end = try await end(atLeast: run.start)
                        isStored = end != nil
                        isKnown = true
                        if let end, end > place.position {
                            place = LogCursor(position: end)
                            continue
                        }
                    }
                    // One sync serves everything that was written until it began.
                    if durability == .power { try await cursor.synchronize() }
                    try await store.append(run, to: job)
                    condition.works()
                    (isStored, place) = (true, next)
                    didProgress()
                    released = try await release(behind: released)
                    continue
                case .begins(let base):
                    let end = try await end(atLeast: base)
                    (isStored, isKnown) = (end != nil, true)
                    place = LogCursor(position: end ?? 0)
                    continue
                case .ended:
                    // A job that said nothing is nothing to its store.
                    if isStored { try await finishStored(upTo: place.position) }
                    return true
                case .waiting:
                    // A pump at its limit closes the segment so that it can be released, without new bytes.
                    released = try await release(behind: released)
                case .absent: break
                }
                break
            }
        }
        return false
    }

    /// The position from which the store wants more: its end, or `base` where it lost what lay before; nil where it
    /// has nothing of the job and needs nothing before `base`.
    private func end(atLeast base: UInt64) async throws(StorageError) -> UInt64? {
        let found = try await store.end(of: job)
        let end = found ?? 0
        guard base > end else { return found }
        // Released bytes were durable in the store once: it was damaged or replaced since.
        logger.error("the store lost a part of a log", metadata: ["jobId": "\(job)", "bytes": "\(base - end)"])
        try await store.skip(to: base, of: job, time: SystemClock.now())
        return base
    }

    /// Releases what is durable, if the reader has come to a segment after `released`; returns the reader's.
    private func release(behind released: UInt32) async throws(StorageError) -> UInt32 {
        guard let segment = await cursor.segment, segment > released else { return released }
        guard let durable = try await store.sync([job])[job] else { return released }
        try checkCancellation()
        if try await cursor.release(upTo: durable) > 0 { await didRelease() }
        return segment
    }

    /// Returns once everything before `end` is durable in the store, so that the outbox can be removed.
    private func finishStored(upTo end: UInt64) async throws(StorageError) {
        let durable = try await store.sync([job])[job] ?? 0
        guard durable >= end else { throw .unavailable(reason: "the end of a log is not durable yet") }
        // Last: a store may look at its files again once it has let go of a job.
        try await store.finish(job)
        try checkCancellation()
    }

    /// A store may answer long after the engine was shut down: then the outbox belongs to the next daemon.
    private func checkCancellation() throws(StorageError) {
        if Task.isCancelled { throw .cancelled }
    }
}
