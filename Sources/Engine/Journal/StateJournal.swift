import Glibc
import Kernel
import Storage
import Synchronization

/// An entry and the journal file that holds it until the stores have it.
struct JournaledEntry: Sendable, Hashable {
    let entry: JournalEntry
    let file: UInt64
}

/// The outbox of job records: every change is here before anyone is told of it.
///
/// Files `<n>.journal` hold entries in order; a file that is no longer written is removed once the stores
/// have all of it.
actor StateJournal {
    private static let rotationBytes = 4 << 20

    private let directory: String
    private let thread = BlockingExecutor.shared.thread()
    private var file: FileDescriptor
    private var number: UInt64
    private var size = 0
    private var unshipped: [UInt64: Int]
    /// The entries that earlier daemons left, in order, until they were taken over.
    private(set) var recovered: [JournaledEntry]
    /// Where entries of earlier daemons were damaged: a file and a stretch of bytes each.
    nonisolated let damage: [String]
    private var waitingForSync: [CheckedContinuation<Void, any Error>] = []
    private var isSyncing = false
    private nonisolated let closed = Mutex(false)

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Opens the journal in `directory`, cutting an entry that was being written when the host stopped and passing
    /// over damaged ones.
    init(directory: String) throws(EngineError) {
        self.directory = directory
        do throws(SystemCallError) {
            try Directory.create(directory)
            let numbers = try Directory.names(in: directory).compactMap { name in
                name.hasSuffix(".journal") ? UInt64(name.dropLast(8)) : nil
            }.sorted()
            var entries: [JournaledEntry] = []
            var counts: [UInt64: Int] = [:]
            var damage: [String] = []
            for number in numbers {
                let file = try FileDescriptor.open("\(directory)/\(number).journal", flags: O_RDWR)
                let found = JournalEntry.decode(try file.read(at: 0, count: try file.size()))
                try file.truncate(to: found.length)
                entries += found.entries.map { JournaledEntry(entry: $0, file: number) }
                damage += found.damage.map { "\(number).journal, \($0.count) bytes at \($0.lowerBound)" }
                counts[number] = found.entries.count
            }
            recovered = entries
            self.damage = damage
            unshipped = counts
            number = (numbers.last ?? 0) + 1
            // A disk that is full already keeps no daemon from starting: it is there to make room.
            file = try StateJournal.create(directory, number, needsRoom: false)
        } catch {
            throw EngineError(.internal, "journal: \(error)")
        }
    }

    /// Lets go of what was recovered: its entries are on their way to the stores.
    func forgetRecovered() { recovered = [] }

    /// Takes no more entries and removes no more files: they belong to the next daemon.
    nonisolated func close() { closed.withLock { $0 = true } }

    private var isClosed: Bool { closed.withLock { $0 } }

    /// Adds an entry; returns when it survives what `durability` says.
    ///
    /// Throws `unavailable` where the disk refuses: then nothing was added, or it may not survive the host.
    func append(
        _ entry: JournalEntry, durability: Durability
    ) async throws(EngineError) -> JournaledEntry {
        let bytes = entry.encoded
        guard !isClosed else { throw EngineError(.unavailable, "the node is shutting down") }
        let place: UInt64
        do throws(SystemCallError) {
            try FailPoint.pass("journal.beforeAppend")
            do throws(SystemCallError) {
                try file.write(bytes, at: size)
            } catch {
                // A part of an entry must not stay before the next one.
                try file.truncate(to: size)
                throw error
            }
            try FailPoint.pass("journal.afterAppend")
            size += bytes.count
            place = number
            unshipped[number, default: 0] += 1
            if durability == .process { rotateIfFull() }
        } catch {
            throw EngineError(.unavailable, "cannot record the job's state: \(error)")
        }
        if durability == .power {
            do {
                try await withCheckedThrowingContinuation {
                    waitingForSync.append($0); startSync()
                }
            } catch {
                // Nobody ships it, so it must not hold its file.
                unshipped[place, default: 0] -= 1
                throw EngineError(.unavailable, "cannot record the job's state durably: \(error)")
            }
        }
        return JournaledEntry(entry: entry, file: place)
    }

    /// One fdatasync serves everyone who waits when it begins.
    private func startSync() {
        guard !isSyncing else { return }
        isSyncing = true
        Task { self.syncWaiting() }
    }

    private func syncWaiting() {
        isSyncing = false
        let waiting = waitingForSync
        waitingForSync = []
        do throws(SystemCallError) {
            try FailPoint.pass("journal.beforeSync")
            try file.synchronizeData()
        } catch {
            for continuation in waiting { continuation.resume(throwing: error) }
            return
        }
        for continuation in waiting { continuation.resume() }
        rotateIfFull()
    }

    /// The stores have these entries: removes the files of which nothing is needed any more.
    func shipped(_ entries: [JournaledEntry]) {
        for entry in entries { unshipped[entry.file, default: 0] -= 1 }
        removeShipped()
    }

    /// Removes the files left by earlier daemons that hold nothing a store lacks.
    func removeShipped() {
        guard !isClosed else { return }
        // Oldest first and no further than the first that stays: without a later entry of its job, a tombstone
        // above all, an older one would be believed by the next daemon.
        for file in unshipped.keys.sorted() {
            guard let count = unshipped[file], count <= 0, file != number else { return }
            do throws(SystemCallError) {
                try FailPoint.pass("journal.beforeUnlink")
                if unlink("\(directory)/\(file).journal") != 0, errno != ENOENT {
                    throw .current("unlink \(file).journal")
                }
                unshipped[file] = nil
            } catch {
                // A file that stays is only shipped again.
                return
            }
        }
    }

    private func rotateIfFull() {
        // Not while a sync is due: it must reach the file that the waiting entries are in.
        guard size > StateJournal.rotationBytes, waitingForSync.isEmpty else { return }
        do throws(SystemCallError) {
            file = try StateJournal.create(directory, number + 1, needsRoom: true)
        } catch {
            // The old file serves as well.
            return
        }
        number += 1
        size = 0
    }

    /// Makes a file with room on the disk for all that it will hold: how jobs end can be recorded whatever fills the
    /// disk meanwhile.
    private static func create(
        _ directory: String, _ number: UInt64, needsRoom: Bool
    ) throws(SystemCallError) -> FileDescriptor {
        let path = "\(directory)/\(number).journal"
        let file = try FileDescriptor.open(path, flags: O_RDWR | O_CREAT | O_EXCL)
        do throws(SystemCallError) {
            try FailPoint.pass("journal.afterCreate")
            do throws(SystemCallError) {
                try file.reserve(rotationBytes)
            } catch {
                // A file system that cannot do it holds as many entries as it has room for.
                guard !needsRoom || error.code == EOPNOTSUPP else { throw error }
            }
            try Directory.synchronize(directory)
        } catch {
            // Its name must be free for the next attempt.
            unlink(path)
            throw error
        }
        return file
    }
}
