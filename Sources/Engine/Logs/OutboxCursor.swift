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
    /// Where the reader is, or goes once that is written.
    private var place = LogCursor.start

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(root: String, job: JobID) {
        self.root = root
        self.job = OutboxJob(high: job.words.high, low: job.words.low)
    }

    /// How reading went.
    enum Step: Sendable {
        /// The next fragments, and the place behind them.
        case run(FragmentRun, next: LogCursor)
        /// Nothing new yet.
        case waiting
        /// Everything was read and no more will come.
        case ended
        /// The outbox begins at that position, behind the place asked for: what lies before is in the store.
        case begins(at: UInt64)
        /// The job has no outbox.
        case absent
    }

    /// The number of the segment that is being read.
    var segment: UInt32? { reader?.segment }

    /// The fragments from `cursor` on, at most `maxBytes` bytes. Cheap where `cursor` is where the last call ended.
    func read(from cursor: LogCursor, maxBytes: Int) throws(StorageError) -> Step {
        while true {
            do throws(OutboxReader.Failure) {
                if reader == nil || cursor != place {
                    reader = try OutboxReader(root: root, job: job)
                    place = cursor
                    guard let base = reader?.position else { return .absent }
                    if cursor.position < base {
                        reader = nil
                        return .begins(at: base)
                    }
                    try reader?.seek(to: cursor.position, gaps: cursor.gaps)
                }
                guard let reader else { return .absent }
                if reader.position < cursor.position {
                    // Not written yet when it was sought.
                    try reader.seek(to: cursor.position, gaps: cursor.gaps)
                    if reader.position < cursor.position { return reader.isAtEnd ? .ended : .waiting }
                }
                let batch = try reader.read(maxBytes: maxBytes)
                if batch.pieces.isEmpty { return reader.isAtEnd ? .ended : .waiting }
                let run = FragmentRun(start: cursor.position, batch)
                place = run.next(after: cursor)
                return .run(run, next: place)
            } catch {
                reader = nil
                // Released while it was read: it begins further on.
                if case .system(let failure) = error { throw .unavailable(reason: "\(failure)") }
            }
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
    /// The place behind the run for a reader that came from `cursor`.
    func next(after cursor: LogCursor) -> LogCursor {
        let gaps = fragments.reversed().prefix { $0.count == 0 }.count
        let goesOn = gaps == fragments.count && cursor.position == start
        return LogCursor(position: end, gaps: goesOn ? cursor.gaps + gaps : gaps)
    }
}
