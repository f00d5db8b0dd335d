import Glibc
public import Kernel

/// Reads one job's outbox while it is written.
///
/// A reader pins nothing: segments may be released behind and ahead of it. Used from one thread.
public final class OutboxReader {
    /// Why a reader cannot go on.
    public enum Failure: Error, Hashable, Sendable {
        /// The position asked for was released: a store has it.
        case released
        /// A file could not be read.
        case system(SystemCallError)
    }

    /// A piece of the log: whole entries of the index, or parts of them.
    public struct Piece: Sendable, Hashable {
        /// The stream.
        public let stream: OutputStream
        /// The number of bytes of both streams before it.
        public let position: UInt64
        /// Nanoseconds since 1970.
        public let time: Int64
        /// Its bytes in the batch; 0 for a gap.
        public let count: Int
        /// For a gap, the bytes dropped there; else 0.
        public let dropped: UInt64
    }

    /// Consecutive pieces and their bytes.
    public struct Batch: Sendable, Hashable {
        /// The pieces, by position.
        public var pieces: [Piece] = []
        /// The bytes of the pieces, one after another.
        public var bytes: [UInt8] = []
    }

    private let files: SegmentFiles
    private var header: SegmentHeader
    private var index: FileDescriptor
    private var data: [FileDescriptor?] = [nil, nil]
    private var record = 0
    private var consumed: UInt32 = 0

    /// The position of the next byte that `read` gives.
    public private(set) var position: UInt64
    /// Whether everything was read and no more will come.
    public private(set) var isAtEnd = false
    /// The number of the segment that is being read.
    public var segment: UInt32 { header.number }

    /// A reader from the oldest whole segment on; nil where the job has no outbox.
    public init?(root: String, job: OutboxJob) throws(Failure) {
        files = SegmentFiles(root: root, job: job)
        guard let (header, index) = try OutboxReader.oldest(files) else { return nil }
        self.header = header
        self.index = index
        position = header.base
    }

    /// Brings the segment that is being read to the disk, its bytes before its index.
    public func synchronize() throws(SystemCallError) {
        for file in data { try file?.synchronizeData() }
        try index.synchronizeData()
        try Directory.synchronize(files.path)
    }

    /// Skips to `position`, behind the first `gaps` gap notes there.
    ///
    /// Throws `released` where the outbox begins behind it. Ends early where it is not written yet; a later call goes
    /// on from there.
    public func seek(to target: UInt64, gaps: Int) throws(Failure) {
        guard target >= position else { throw .released }
        var left = gaps
        while true {
            guard let entry = try entry(at: record) else {
                if try advance() { continue }
                return
            }
            switch entry.kind {
            case .data:
                guard position < target else { return }
                try take(UInt32(min(target, entry.end) - position), of: entry)
                guard position == entry.end, try leave(entry) else { return }
            case .gap:
                if entry.position == target {
                    if left == 0 { return }
                    left -= 1
                }
                step()
            case .end:
                isAtEnd = true
                return
            }
        }
    }

    /// The next pieces, at most `maxBytes` bytes; an empty batch where nothing was written since.
    public func read(maxBytes: Int) throws(Failure) -> Batch {
        var batch = Batch()
        while batch.bytes.count < maxBytes, batch.pieces.count < 4096 {
            guard let entry = try entry(at: record) else {
                if try advance() { continue }
                break
            }
            switch entry.kind {
            case .data(let stream, let offset, let count):
                if count > consumed { try append(entry, stream, offset, maxBytes, &batch) }
                // The last entry may still grow, so the reader stays on it.
                if consumed == count, try !leave(entry) { return batch }
            case .gap(let stream, let dropped):
                batch.pieces.append(
                    Piece(stream: stream, position: entry.position, time: entry.time, count: 0, dropped: dropped))
                step()
            case .end:
                isAtEnd = true
                return batch
            }
        }
        return batch
    }

    private func append(
        _ entry: IndexRecord, _ stream: OutputStream, _ offset: UInt64, _ maxBytes: Int, _ batch: inout Batch
    ) throws(Failure) {
        guard offset >= header.offsets[stream.slot] else { throw corrupt }
        let count = min(Int(entry.end - entry.position) - Int(consumed), maxBytes - batch.bytes.count)
        let file = try dataFile(stream)
        let start = Int(offset - header.offsets[stream.slot]) + Int(consumed)
        let bytes = try OutboxReader.attempt { () throws(SystemCallError) in try file.read(at: start, count: count) }
        guard bytes.count == count else { throw corrupt }
        if batch.bytes.isEmpty { batch.bytes = bytes } else { batch.bytes += bytes }
        batch.pieces.append(
            Piece(stream: stream, position: position, time: entry.time, count: count, dropped: 0))
        try take(UInt32(count), of: entry)
    }

    /// Goes `count` bytes further in an entry.
    private func take(_ count: UInt32, of entry: IndexRecord) throws(Failure) {
        guard entry.position + UInt64(consumed) == position else { throw corrupt }
        consumed += count
        position += UInt64(count)
    }

    /// Goes behind an entry that was read to its end; false where nothing follows, so that it may still grow.
    private func leave(_ entry: IndexRecord) throws(Failure) -> Bool {
        guard let next = try successor() else { return false }
        if next == entry.end {
            step()
            return true
        }
        // It was read before it grew for the last time.
        cache = (0, [])
        guard let grown = try self.entry(at: record), grown.end > entry.end, next >= grown.end else { throw corrupt }
        return true
    }

    /// The position of what follows the current entry; nil where nothing does yet.
    private func successor() throws(Failure) -> UInt64? {
        if let next = try entry(at: record + 1) { return next.position }
        guard let number = try nextSegment() else { return nil }
        // The last entry here was written before the next segment began: look once more.
        cache = (0, [])
        if let next = try entry(at: record + 1) { return next.position }
        guard let (next, _) = try OutboxReader.open(files, number) else { throw .released }
        return next.base
    }

    private var corrupt: Failure { .system(SystemCallError("read index.\(header.number)", code: EBADMSG)) }

    private func step() {
        record += 1
        consumed = 0
    }

    private var cache: (first: Int, bytes: [UInt8]) = (0, [])

    /// The entry with that number; nil where it is not written or is being written.
    private func entry(at number: Int) throws(Failure) -> IndexRecord? {
        // Entries before the last of the file never change; the last may grow, so it is read again.
        let slot = (number - cache.first) * IndexRecord.size
        if slot >= 0, slot + 2 * IndexRecord.size <= cache.bytes.count,
            let known = IndexRecord(cache.bytes[slot..<slot + IndexRecord.size])
        {
            return known
        }
        if let entry = try fill(from: number) { return entry }
        guard hasSecondEntry else { return nil }
        // Only the last entry is ever being written: one before another is whole now, or damaged.
        if let entry = try fill(from: number) { return entry }
        throw corrupt
    }

    /// Reads entries from that number on; nil where there is no whole one.
    private func fill(from number: Int) throws(Failure) -> IndexRecord? {
        let index = index
        let bytes = try OutboxReader.attempt { () throws(SystemCallError) in
            try index.read(at: SegmentHeader.size + number * IndexRecord.size, count: 256 * IndexRecord.size)
        }
        cache = (number, bytes)
        guard bytes.count >= IndexRecord.size else { return nil }
        return IndexRecord(bytes[0..<IndexRecord.size])
    }

    private var hasSecondEntry: Bool {
        cache.bytes.count >= 2 * IndexRecord.size
            && IndexRecord(cache.bytes[IndexRecord.size..<2 * IndexRecord.size]) != nil
    }

    private func nextSegment() throws(Failure) -> UInt32? {
        let next = header.number + 1
        if Directory.exists(files.index(next)) { return next }
        // Not there: either not begun yet, or released together with this one.
        if Directory.exists(files.index(header.number)) { return nil }
        throw .released
    }

    /// Goes on to the next segment, once nothing can be added to this one; false where there is none.
    private func advance() throws(Failure) -> Bool {
        guard let next = try nextSegment() else { return false }
        // The writer's last entry here came before the next segment: look once more.
        cache = (0, [])
        if try entry(at: record) != nil { return true }
        guard let (header, index) = try OutboxReader.open(files, next) else { throw .released }
        guard header.base == position else { throw corrupt }
        self.header = header
        self.index = index
        data = [nil, nil]
        record = 0
        consumed = 0
        cache = (0, [])
        return true
    }

    private func dataFile(_ stream: OutputStream) throws(Failure) -> FileDescriptor {
        if let file = data[stream.slot] { return file }
        let path = files.data(stream, header.number)
        do {
            let file = try FileDescriptor.open(path, flags: O_RDONLY)
            data[stream.slot] = file
            return file
        } catch {
            throw error.code == ENOENT ? .released : .system(error)
        }
    }

    /// The oldest segment none of whose files was removed yet.
    private static func oldest(_ files: SegmentFiles) throws(Failure) -> (SegmentHeader, FileDescriptor)? {
        while true {
            let numbers = try attempt { () throws(SystemCallError) in try files.numbers() }
            if numbers.isEmpty { return nil }
            for (slot, number) in numbers.enumerated() {
                guard let found = try open(files, number) else { continue }
                guard slot + 1 < numbers.count, let (next, _) = try open(files, numbers[slot + 1]) else { return found }
                let isGoing = try attempt { () throws(SystemCallError) in
                    try files.isHalfRemoved(found.0, next: next)
                }
                if !isGoing { return found }
            }
            // Every segment that was listed is gone since: list again.
        }
    }

    private static func open(
        _ files: SegmentFiles, _ number: UInt32
    ) throws(Failure) -> (SegmentHeader, FileDescriptor)? {
        do throws(SystemCallError) {
            let file = try FileDescriptor.open(files.index(number), flags: O_RDONLY)
            guard let header = SegmentHeader(try file.read(at: 0, count: SegmentHeader.size)) else {
                throw SystemCallError("read the header of index.\(number)", code: EBADMSG)
            }
            return (header, file)
        } catch {
            if error.code == ENOENT { return nil }
            throw .system(error)
        }
    }

    private static func attempt<Value>(_ body: () throws(SystemCallError) -> Value) throws(Failure) -> Value {
        do {
            return try body()
        } catch {
            throw .system(error)
        }
    }
}
