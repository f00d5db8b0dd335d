import Kernel
import Logging
import Sandbox
public import Storage

/// What jobs use: when it is read, and when all of it is in the store.
extension JobEngine {
    /// The reader of jobs' samples.
    public nonisolated var metrics: MetricReader {
        MetricReader(
            store: metricStore, outbox: metricOutbox,
            isOpenEnded: { [weak self] id in await self?.mayUseMore(id) ?? false })
    }

    /// Nanoseconds between two samples of a job.
    public nonisolated var metricInterval: Int64 { configuration.metricInterval }

    /// The directory of the job's control group, as samples name it; empty on a host without any.
    public nonisolated func cgroupPath(of id: JobID) -> String { cgroups.groups(of: id).path }

    private func mayUseMore(_ id: JobID) -> Bool {
        hot[id].map { $0.awaitsMetrics && !deleted.contains(id) } ?? false
    }

    /// Begins to read what a job uses; nothing where that began before.
    func beginSampling(_ id: JobID) {
        guard let entry = hot[id], entry.sampling == nil, !entry.job.record.status.isTerminal else { return }
        let durability = entry.job.record.specification.durability
        // One that an earlier daemon started goes on where its samples end.
        let isNew = entry.isOurs
        let age = SystemClock.now() - entry.job.record.createdAt
        let start = ResourceUsage.start(at: SystemClock.sinceBoot() - max(0, age))
        hot[id]?.sampling = inBackground {
            let first = isNew ? 0 : await self.firstSequence(of: id)
            await self.sampler.begin(
                id, groups: self.cgroups.groups(of: id), first: first, durability: durability,
                previous: isNew ? start : await self.lastUsage(of: id))
        }
    }

    /// What an earlier daemon read of a job at last.
    private nonisolated func lastUsage(of id: JobID) async -> ResourceUsage? {
        do throws(SystemCallError) {
            return try await metricOutbox.last(of: id).flatMap { ResourceUsage($0) }
        } catch {
            // The next sample has no rates.
            return nil
        }
    }

    /// Where the samples of a job of an earlier daemon go on; only the store knows, if the outbox has none.
    private func firstSequence(of id: JobID) async -> UInt64 {
        if await metricOutbox.isKnown(id) { return 0 }
        let store = metricStore
        let (stream, continuation) = AsyncStream<UInt64>.makeStream()
        let asking = Task {
            do throws(StorageError) {
                continuation.yield(try await store.end(of: id) ?? 0)
            } catch {
                logger.warning(
                    "where a job's samples end cannot be known", metadata: ["jobId": "\(id)", "error": "\(error)"])
            }
            continuation.finish()
        }
        // The end of a job must not wait for its store.
        await Task.finish([asking], within: .seconds(2))
        continuation.finish()
        for await first in stream { return first }
        return 0
    }

    /// Reads what a job used for the last time, while its control groups are there, then goes on with `body`.
    func endSampling(_ id: JobID, _ body: @escaping @Sendable () async -> Void) {
        beginSampling(id)
        let (sampling, earlier) = (hot[id]?.sampling, hot[id]?.concluding)
        hot[id]?.concluding = inBackground {
            // An exit that is known comes before the loss of the supervisor that told it.
            await earlier?.value
            await sampling?.value
            await self.sampler.finish(id)
            await body()
        }
    }

    /// The store has all samples of a job, or there were none.
    func metricsAreShipped(_ id: JobID) {
        hot[id]?.awaitsMetrics = false
        metricOutbox.notify(id)
    }

    /// Waits until the store has all samples of a job; false where the task was cancelled before.
    func waitForMetrics(of id: JobID) async -> Bool {
        for await _ in metricOutbox.changes(of: id) where hot[id]?.awaitsMetrics != true {
            return !Task.isCancelled
        }
        return false
    }
}
