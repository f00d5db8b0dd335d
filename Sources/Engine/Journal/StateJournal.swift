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
/// have all of it and none of its records is the newest of a job that memory holds.
actor StateJournal {
    private static let rotationBytes = 4 << 20
    /// What a new file takes over at most: half of it is left for what is new, so that this comes to an end.
    private static let carriedBytes = rotationBytes / 2

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
    private nonisolated let held: Mutex<HeldEntries>
    /// The number of the file that is written.
    private nonisolated let written: Atomic<UInt64>

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
            var held = HeldEntries()
            for number in numbers {
                let file = try FileDescriptor.open("\(directory)/\(number).journal", flags: O_RDWR)
                let found = JournalEntry.decode(try file.read(at: 0, count: try file.size()))
                try file.truncate(to: found.length)
                for (entry, range) in found.entries {
                    held.hold(entry, at: HeldEntries.Place(job: entry.job, file: number, range: range))
                }
                entries += found.entries.map { JournaledEntry(entry: $0.entry, file: number) }
                damage += found.damage.map { "\(number).journal, \($0.count) bytes at \($0.lowerBound)" }
                counts[number] = found.entries.count
            }
            recovered = entries
            self.damage = damage
            unshipped = counts
            self.held = Mutex(held)
            number = (numbers.last ?? 0) + 1
            written = Atomic(number)
            // A disk that is full already keeps no daemon from starting: it is there to make room.
            file = try StateJournal.create(directory, number, needsRoom: false)
        } catch {
            throw EngineError(.internal, "journal: \(error)")
        }
    }

    /// Lets go of what was recovered: its entries are on their way to the stores.
    func forgetRecovered() { recovered = [] }

    /// Memory has nothing of the job any more: neither does the next daemon need its record.
    ///
    /// Returns whether a file that is no longer written may go now, by `removeShipped`.
    nonisolated func release(_ job: JobID) -> Bool {
        guard let file = held.withLock({ $0.release(job) }) else { return false }
        return file < written.load(ordering: .relaxed)
    }

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
        let place: HeldEntries.Place
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
            place = HeldEntries.Place(job: entry.job, file: number, range: size..<size + bytes.count)
            size += bytes.count
            unshipped[number, default: 0] += 1
            // At once: behind its tombstone a record must not be carried over.
            held.withLock { $0.hold(entry, at: place) }
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
                unshipped[place.file, default: 0] -= 1
                held.withLock { $0.release(place) }
                throw EngineError(.unavailable, "cannot record the job's state durably: \(error)")
            }
        }
        if durability == .process { rotateIfFull() }
        return JournaledEntry(entry: entry, file: place.file)
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

    /// Removes the files that hold nothing that a store lacks or a daemon needs.
    func removeShipped() {
        guard !isClosed else { return }
        // Oldest first and no further than the first that stays: without a later entry of its job, a tombstone
        // above all, an older one would be believed by the next daemon.
        for file in unshipped.keys.sorted() {
            guard let count = unshipped[file], count <= 0, file != number, !held.withLock({ $0.has(file) })
            else { return }
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

    /// Takes the records that memory still holds over from the oldest files, which can go then.
    private func carryOver() {
        var room = StateJournal.carriedBytes
        for file in unshipped.keys.sorted() where file != number {
            guard let count = unshipped[file], count <= 0 else { break }
            let all = held.withLock { $0.places(in: file) }
            let places = all.prefix { place in
                room -= place.range.count
                return room >= 0
            }
            do throws(SystemCallError) {
                try carry(places, from: file)
            } catch {
                // The old file serves as well.
                return
            }
            if places.count < all.count { break }
        }
        removeShipped()
    }

    private func carry(_ places: ArraySlice<HeldEntries.Place>, from old: UInt64) throws(SystemCallError) {
        guard !places.isEmpty else { return }
        let source = try FileDescriptor.open("\(directory)/\(old).journal", flags: O_RDONLY)
        var bytes: [UInt8] = []
        var moved: [HeldEntries.Place] = []
        for place in places {
            let start = size + bytes.count
            moved.append(HeldEntries.Place(job: place.job, file: number, range: start..<start + place.range.count))
            bytes += try source.read(at: place.range.lowerBound, count: place.range.count)
        }
        do throws(SystemCallError) {
            try FailPoint.pass("journal.beforeCarry")
            try file.write(bytes, at: size)
            try file.synchronizeData()
        } catch {
            try file.truncate(to: size)
            throw error
        }
        size += bytes.count
        held.withLock { held in
            for (old, new) in zip(places, moved) { held.move(old, to: new) }
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
        written.store(number, ordering: .relaxed)
        size = 0
        carryOver()
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
