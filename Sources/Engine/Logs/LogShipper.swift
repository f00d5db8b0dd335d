import Kernel
import Logging
import Storage

/// Brings one job's output from the outbox to the store and releases what is durable there.
struct LogShipper: Sendable {
    private static let runBytes = 1 << 20

    let job: JobID
    let durability: Durability
    let store: any LogStore
    let cursor: OutboxCursor
    let watcher: OutboxWatcher
    let logger: Logger
    /// Hears that segments were removed.
    let didRelease: @Sendable () async -> Void

    /// Ships until the log has ended and is durable in the store, or the job was deleted.
    ///
    /// Returns true where the outbox is empty and removed, false where the task was cancelled.
    func run() async -> Bool {
        var backOff = BackOff()
        while !Task.isCancelled {
            do throws(StorageError) {
                if try await ship() { return true }
                return false
            } catch {
                switch error {
                case .refused: return true
                case .cancelled: return false
                default:
                    logger.warning("a job's log waits for its store", metadata: ["job": "\(job)", "error": "\(error)"])
                    await backOff.wait()
                }
            }
        }
        return false
    }

    private func ship() async throws(StorageError) -> Bool {
        var isOpen = false
        var released: UInt32 = 0
        for await _ in watcher.changes(of: job) {
            if !isOpen {
                var end = try await store.end(of: job) ?? 0
                guard let base = try await cursor.open() else { continue }
                if base > end {
                    // Released bytes were durable in the store once: it was damaged or replaced since.
                    logger.error(
                        "the store lost a part of a log", metadata: ["job": "\(job)", "bytes": "\(base - end)"])
                    try await store.skip(to: base, of: job, time: SystemClock.now())
                    end = base
                }
                guard try await cursor.seek(to: LogCursor(position: end)) else { continue }
                isOpen = true
            }
            reading: while true {
                switch try await cursor.read(maxBytes: LogShipper.runBytes) {
                case .run(let run):
                    // One sync serves everything that was written until it began.
                    if durability == .power { try await cursor.synchronize() }
                    try await store.append(run, to: job)
                    if let segment = await cursor.segment, segment > released {
                        try await release()
                        released = segment
                    }
                case .waiting: break reading
                case .ended:
                    try await store.finish(job)
                    _ = try await store.sync([job])
                    try await cursor.removeAll()
                    await didRelease()
                    return true
                case .released, .absent:
                    isOpen = false
                    break reading
                }
            }
        }
        return false
    }

    private func release() async throws(StorageError) {
        guard let durable = try await store.sync([job])[job] else { return }
        if try await cursor.release(upTo: durable) > 0 { await didRelease() }
    }
}
