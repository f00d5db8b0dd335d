import Glibc
import Kernel
import Outbox
import Storage

/// Reads one job's outbox on a thread of its own, so that a stuck disk stops no other work.
actor OutboxCursor {
    private static let threads = BlockingExecutor(count: 4)

    private let thread = OutboxCursor.threads.thread()
    private let root: String
    private let job: OutboxJob
    private var reader: OutboxReader?
    private var target: LogCursor?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(root: String, job: JobID) {
        self.root = root
        self.job = OutboxJob(high: job.words.high, low: job.words.low)
    }

    /// How reading went.
    enum Step: Sendable {
        /// The next fragments.
        case run(FragmentRun)
        /// Nothing new yet.
        case waiting
        /// Everything was read and no more will come.
        case ended
        /// The outbox begins further on: what lies before is in the store.
        case released
        /// The job has no outbox.
        case absent
    }

    /// The position at which the outbox begins; nil where the job has none.
    func open() throws(StorageError) -> UInt64? {
        do throws(OutboxReader.Failure) {
            reader = try OutboxReader(root: root, job: job)
            return reader?.position
        } catch {
            throw OutboxCursor.storageError(error)
        }
    }

    /// Goes to `cursor`; false where the outbox begins behind it or there is none.
    func seek(to cursor: LogCursor) throws(StorageError) -> Bool {
        guard let reader else { return false }
        do throws(OutboxReader.Failure) {
            target = cursor
            try reader.seek(to: cursor.position, gaps: cursor.gaps)
            return true
        } catch {
            if case .released = error {
                self.reader = nil
                return false
            }
            throw OutboxCursor.storageError(error)
        }
    }

    /// The position up to which was read.
    var position: UInt64 { reader?.position ?? 0 }

    /// The number of the segment that is being read.
    var segment: UInt32? { reader?.segment }

    /// The next fragments, at most `maxBytes` bytes.
    func read(maxBytes: Int) throws(StorageError) -> Step {
        guard let reader else { return .absent }
        do throws(OutboxReader.Failure) {
            if let target, reader.position < target.position {
                // Asked for from a place that was not written when it was sought.
                try reader.seek(to: target.position, gaps: target.gaps)
                if reader.position < target.position { return reader.isAtEnd ? .ended : .waiting }
            }
            let start = reader.position
            let batch = try reader.read(maxBytes: maxBytes)
            if batch.pieces.isEmpty { return reader.isAtEnd ? .ended : .waiting }
            return .run(FragmentRun(start: start, batch))
        } catch {
            if case .released = error {
                self.reader = nil
                return .released
            }
            throw OutboxCursor.storageError(error)
        }
    }

    /// Removes the segments whose end is at or below `position`; the last one stays. Returns how many went.
    func release(upTo position: UInt64) throws(StorageError) -> Int {
        let files = SegmentFiles(root: root, job: job)
        do throws(SystemCallError) {
            let numbers = try files.numbers()
            var removed = 0
            for (number, next) in zip(numbers, numbers.dropFirst()) {
                guard let header = try files.header(of: next), header.base <= position else { break }
                try files.remove(number)
                removed += 1
            }
            return removed
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }

    /// Removes the whole outbox.
    func removeAll() throws(StorageError) {
        reader = nil
        do throws(SystemCallError) {
            try SegmentFiles(root: root, job: job).removeAll()
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }

    /// Brings the segment that is being read to the disk.
    func synchronize() throws(StorageError) {
        do throws(SystemCallError) {
            try reader?.synchronize()
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }

    /// Takes the outbox for a writer of the daemon's own; nil while a pump writes.
    func lock() throws(StorageError) -> FileDescriptor? {
        do throws(SystemCallError) {
            return try SegmentFiles(root: root, job: job).lock()
        } catch {
            if error.code == EWOULDBLOCK { return nil }
            throw .unavailable(reason: "\(error)")
        }
    }

    /// Repairs what a dead pump left and records the end of the output; the caller holds the lock.
    func repairAndEnd(segmentBytes: Int) throws(StorageError) {
        do throws(SystemCallError) {
            try OutboxWriter(root: root, job: job, segmentBytes: segmentBytes).end()
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }

    private static func storageError(_ failure: OutboxReader.Failure) -> StorageError {
        switch failure {
        case .released: .unavailable(reason: "the outbox was released while it was opened")
        case .system(let error): .unavailable(reason: "\(error)")
        }
    }
}

extension FragmentRun {
    /// The run that a batch of the outbox is; the bytes are not copied.
    init(start: UInt64, _ batch: OutboxReader.Batch) {
        self.init(
            start: start,
            fragments: batch.pieces.map { piece in
                Fragment(
                    stream: piece.stream == .stdout ? .stdout : .stderr, position: piece.position, time: piece.time,
                    content: piece.count > 0 ? .bytes(count: piece.count) : .dropped(bytes: piece.dropped))
            },
            bytes: batch.bytes)
    }
}
