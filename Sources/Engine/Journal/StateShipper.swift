import Kernel
import Logging
import Storage
import Synchronization

/// Brings journal entries to the stores and repeats what a store could not take.
///
/// Records go in batches. Deletions, and records that a store takes not while it takes others, go one at a time,
/// so that none of them stops the rest. A store keeps the highest version of a job in whatever order they come;
/// only a deletion waits until no record of its job is on the way.
final class StateShipper: Sendable {
    private static let batch = 256
    /// How long a record waits for others: of the versions of a job that come together a store gets the last.
    private static let gathering = Duration.milliseconds(100)
    /// Records that are tried alone to see whether a store that refused a batch takes anything.
    private static let probes = 3
    /// Failures in a row after which a store is taken to be away.
    private static let patience = 8

    private struct Queue {
        var records: [JournaledEntry] = []
        var singles: [JournaledEntry] = []
        /// How many of `records` each job has.
        var pending: [JobID: Int] = [:]
        /// Records of jobs that were deleted before a store took them: they go with the deletion.
        var superseded: [JournaledEntry] = []
        /// Whether a store may be taking the first of `records`.
        var isPutting = false
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    private let recordsCame: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)
    private let singlesCame: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)
    /// Whether the store takes records.
    let condition = StoreCondition()
    private let journal: StateJournal
    private let jobs: any JobStore
    private let logs: any LogStore
    private let metrics: any MetricStore
    private let logger: Logger
    private let removeFiles: @Sendable (JobID) async -> Bool
    private let didShip: @Sendable ([JournalEntry]) async -> Void

    /// `removeFiles` removes what the engine keeps of a deleted job, true when all is gone; `didShip` hears of
    /// every entry that the stores have, or that a later one replaced.
    init(
        journal: StateJournal, jobs: any JobStore, logs: any LogStore, metrics: any MetricStore, logger: Logger,
        removeFiles: @escaping @Sendable (JobID) async -> Bool,
        didShip: @escaping @Sendable ([JournalEntry]) async -> Void
    ) {
        self.journal = journal
        self.jobs = jobs
        self.logs = logs
        self.metrics = metrics
        self.logger = logger
        self.removeFiles = removeFiles
        self.didShip = didShip
        recordsCame = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        singlesCame = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes an entry that is in the journal.
    func enqueue(_ entry: JournaledEntry) {
        queue.withLock { queue in
            if entry.entry.isDeletion {
                queue.singles.append(entry)
                // A store that is full takes no record, and has room again by what is deleted.
                if !queue.isPutting { StateShipper.supersede(&queue) }
            } else {
                queue.records.append(entry)
                queue.pending[entry.entry.job, default: 0] += 1
            }
        }
        (entry.entry.isDeletion ? singlesCame : recordsCame).continuation.yield()
    }

    /// Ends `run` once everything was shipped, or at the next failure.
    func close() {
        queue.withLock { $0.isClosed = true }
        recordsCame.continuation.finish()
        singlesCame.continuation.finish()
    }

    /// Ships until it is closed or the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.shipRecords() }
            group.addTask { await self.shipSingles() }
        }
    }

    private var isClosed: Bool { queue.withLock { $0.isClosed } }

    /// How many entries the stores do not have yet.
    var waiting: Int { queue.withLock { $0.records.count + $0.singles.count } }

    // MARK: Records

    private func shipRecords() async {
        var backOff = BackOff()
        for await _ in recordsCame.stream {
            do { try await Task.sleep(for: StateShipper.gathering) } catch { return }
            while true {
                let batch = nextBatch()
                if batch.isEmpty {
                    // What was put aside may have been all that a deletion waited for.
                    singlesCame.continuation.yield()
                    break
                }
                do throws(StorageError) {
                    try await put(batch)
                    backOff.reset()
                    await finish(batch)
                } catch {
                    if await isolate(batch, error) { continue }
                    logger.warning("job records wait for their store", metadata: ["error": "\(error)"])
                    _ = nextBatch(isPut: false)
                    singlesCame.continuation.yield()
                    if isClosed { return }
                    guard await backOff.wait() else { return }
                }
            }
        }
    }

    /// The records that are next, without those of jobs that were deleted since; `isPut` where a store gets them now.
    private func nextBatch(isPut: Bool = true) -> [JournaledEntry] {
        queue.withLock { queue in
            StateShipper.supersede(&queue)
            let batch = Array(queue.records.prefix(StateShipper.batch))
            queue.isPutting = isPut && !batch.isEmpty
            return batch
        }
    }

    /// Puts the records aside whose jobs have a deletion: that does not wait for them.
    private static func supersede(_ queue: inout Queue) {
        let deleted = Set(queue.singles.lazy.filter(\.entry.isDeletion).map(\.entry.job))
        guard !deleted.isEmpty else { return }
        let needless = queue.records.filter { deleted.contains($0.entry.job) }
        guard !needless.isEmpty else { return }
        remove(needless, from: &queue)
        queue.superseded += needless
    }

    /// Stores the newest record of each job in `entries`.
    private func put(_ entries: [JournaledEntry]) async throws(StorageError) {
        var newest: [JobID: JobRecord] = [:]
        for case .record(let record) in entries.lazy.map(\.entry)
        where newest[record.id].map({ $0.version < record.version }) ?? true {
            newest[record.id] = record
        }
        do throws(StorageError) {
            try await jobs.put(Array(newest.values))
            try await jobs.sync()
            condition.works()
        } catch {
            condition.fails(error)
            throw error
        }
    }

    /// Takes shipped records out of the queue.
    private func finish(_ shipped: [JournaledEntry]) async {
        queue.withLock { queue in
            StateShipper.remove(shipped, from: &queue)
        }
        // A deletion may have waited for them.
        singlesCame.continuation.yield()
        await journal.shipped(shipped)
        await didShip(shipped.map(\.entry))
    }

    private static func remove(_ entries: [JournaledEntry], from queue: inout Queue) {
        if queue.records.starts(with: entries) {
            queue.records.removeFirst(entries.count)
        } else {
            let gone = Set(entries)
            queue.records.removeAll { gone.contains($0) }
        }
        for item in entries {
            let left = queue.pending[item.entry.job, default: 1] - 1
            queue.pending[item.entry.job] = left > 0 ? left : nil
        }
    }

    /// Finds the records because of which a store takes no batch; false where it takes nothing at all.
    private func isolate(_ batch: [JournaledEntry], _ failure: StorageError) async -> Bool {
        var isAlive = false
        if case .refused = failure { isAlive = true }
        for probe in batch.shuffled().prefix(StateShipper.probes) where !isAlive {
            if await ship(alone: probe) == nil {
                await finish([probe])
                isAlive = true
            }
        }
        guard isAlive else { return false }
        let left = queue.withLock { queue in batch.filter { queue.records.contains($0) } }
        var failures = 0
        for item in left where failures < StateShipper.patience {
            guard let error = await ship(alone: item) else {
                failures = 0
                await finish([item])
                continue
            }
            failures += 1
            logger.error(
                "a job record is not taken by its store",
                metadata: ["jobId": "\(item.entry.job)", "version": "\(item.entry.version)", "error": "\(error)"])
            queue.withLock { queue in
                StateShipper.remove([item], from: &queue)
                queue.singles.append(item)
            }
            singlesCame.continuation.yield()
        }
        return true
    }

    private func ship(alone item: JournaledEntry) async -> StorageError? {
        do throws(StorageError) {
            try await put([item])
            return nil
        } catch {
            return error
        }
    }

    // MARK: One at a time

    private func shipSingles() async {
        var backOff = BackOff()
        var failures = 0
        for await _ in singlesCame.stream {
            while let item = nextSingle() {
                do throws(StorageError) {
                    try await ship(single: item)
                    queue.withLock { $0.singles.removeAll { $0 == item } }
                    failures = 0
                    backOff.reset()
                    await journal.shipped([item])
                    await didShip([item.entry])
                } catch {
                    // Behind the others: they may be taken.
                    let count = queue.withLock { queue in
                        queue.singles.removeAll { $0 == item }
                        queue.singles.append(item)
                        return queue.singles.count
                    }
                    failures += 1
                    if isClosed { return }
                    guard failures >= min(count, StateShipper.patience) else { continue }
                    logger.warning("deletions or job records wait for their store", metadata: ["error": "\(error)"])
                    failures = 0
                    guard await backOff.wait() else { return }
                }
            }
        }
    }

    /// The next entry whose turn it is.
    private func nextSingle() -> JournaledEntry? {
        queue.withLock { queue in
            queue.singles.first { !$0.entry.isDeletion || queue.pending[$0.entry.job] == nil }
        }
    }

    private func ship(single item: JournaledEntry) async throws(StorageError) {
        switch item.entry {
        case .record:
            try await put([item])
        case .deleted(let id, let version):
            try await logs.delete(id)
            try await metrics.delete(id)
            guard await removeFiles(id) else { throw .unavailable(reason: "files of job \(id) remain") }
            try await jobs.delete(id, version: version)
            try await jobs.sync()
            await dropRecords(of: id)
        }
    }

    /// Records that the store never took are not needed once their job is deleted.
    private func dropRecords(of id: JobID) async {
        let needless = queue.withLock { queue in
            let isNeedless: (JournaledEntry) -> Bool = { !$0.entry.isDeletion && $0.entry.job == id }
            let found = (queue.singles + queue.superseded).filter(isNeedless)
            queue.singles.removeAll(where: isNeedless)
            queue.superseded.removeAll(where: isNeedless)
            return found
        }
        if !needless.isEmpty { await journal.shipped(needless) }
    }
}
