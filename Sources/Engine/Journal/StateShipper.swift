import Kernel
import Logging
import Storage
import Synchronization

/// Brings journal entries to the stores, in order, and repeats what a store could not take.
final class StateShipper: Sendable {
    private static let batch = 256

    private struct Queue {
        var entries: [JournaledEntry] = []
        var waiter: CheckedContinuation<Void, Never>?
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    private let journal: StateJournal
    private let jobs: any JobStore
    private let logs: any LogStore
    private let logger: Logger
    private let removeFiles: @Sendable (JobID) async -> Bool
    private let didShip: @Sendable (JournalEntry) async -> Void

    /// `removeFiles` removes what the engine keeps of a deleted job, true when all is gone; `didShip` hears of
    /// every entry that the stores have.
    init(
        journal: StateJournal, jobs: any JobStore, logs: any LogStore, logger: Logger,
        removeFiles: @escaping @Sendable (JobID) async -> Bool,
        didShip: @escaping @Sendable (JournalEntry) async -> Void
    ) {
        self.journal = journal
        self.jobs = jobs
        self.logs = logs
        self.logger = logger
        self.removeFiles = removeFiles
        self.didShip = didShip
    }

    /// Takes an entry that is in the journal; entries of one job must come in version order.
    func enqueue(_ entry: JournaledEntry) {
        let waiter = queue.withLock { queue in
            queue.entries.append(entry)
            defer { queue.waiter = nil }
            return queue.waiter
        }
        waiter?.resume()
    }

    /// Ends `run` after the batch it is at.
    func close() {
        let waiter = queue.withLock { queue in
            queue.isClosed = true
            defer { queue.waiter = nil }
            return queue.waiter
        }
        waiter?.resume()
    }

    /// Ships until it is closed.
    func run() async {
        var backOff = BackOff()
        while true {
            let batch: [JournaledEntry] = queue.withLock { Array($0.entries.prefix(StateShipper.batch)) }
            if batch.isEmpty {
                if queue.withLock({ $0.isClosed }) { return }
                await waitForEntries()
                continue
            }
            do throws(StorageError) {
                try await ship(batch.map(\.entry))
                queue.withLock { $0.entries.removeFirst(batch.count) }
                await journal.shipped(batch)
                for item in batch { await didShip(item.entry) }
                backOff.reset()
            } catch {
                logger.warning("job records wait for their store", metadata: ["error": "\(error)"])
                if queue.withLock({ $0.isClosed }) { return }
                await backOff.wait()
            }
        }
    }

    private func waitForEntries() async {
        await withCheckedContinuation { continuation in
            let isReady = queue.withLock { queue in
                if !queue.entries.isEmpty || queue.isClosed { return true }
                queue.waiter = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    private func ship(_ batch: [JournalEntry]) async throws(StorageError) {
        var records: [JobRecord] = []
        for entry in batch {
            switch entry {
            case .record(let record): records.append(record)
            case .deleted(let id, let version):
                try await put(records)
                records = []
                try await logs.delete(id)
                guard await removeFiles(id) else { throw .unavailable(reason: "files of job \(id) remain") }
                try await jobs.delete(id, version: version)
            }
        }
        try await put(records)
        try await jobs.sync()
    }

    /// Stores records; one that is below its job's tombstone is no longer wanted.
    private func put(_ records: [JobRecord]) async throws(StorageError) {
        guard !records.isEmpty else { return }
        do throws(StorageError) {
            try await jobs.put(records)
        } catch {
            guard case .refused = error else { throw error }
            for record in records {
                do throws(StorageError) {
                    try await jobs.put([record])
                } catch {
                    guard case .refused(let reason) = error else { throw error }
                    logger.error("a job record was refused", metadata: ["job": "\(record.id)", "reason": "\(reason)"])
                }
            }
        }
    }
}
