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

    /// A reader from the oldest segment on; nil where the job has no outbox.
    public init?(root: String, job: OutboxJob) throws(Failure) {
        files = SegmentFiles(root: root, job: job)
        let files = files
        let numbers = try OutboxReader.attempt { () throws(SystemCallError) in try files.numbers() }
        guard let first = numbers.first, let (header, index) = try OutboxReader.open(files, first)
        else { return nil }
        self.header = header
        self.index = index
        position = header.base
    }

    /// Skips to `position`, behind the first `gaps` gap notes there.
    ///
    /// Throws `released` where the outbox begins behind it. Ends early where it is not written yet.
    public func seek(to target: UInt64, gaps: Int) throws(Failure) {
        guard target >= position else { throw .released }
        var left = gaps
        while true {
            guard let entry = try entry(at: record) else {
                if try advance() { continue }
                return
            }
            switch entry.kind {
            case .data(_, _, let count):
                guard entry.position + UInt64(consumed) < target else { return }
                let hasMore = try hasSuccessor()
                if entry.end > target || !hasMore {
                    consumed = UInt32(min(target, entry.end) - entry.position)
                    position = entry.position + UInt64(consumed)
                    return
                }
                position = entry.position + UInt64(count)
                step()
            case .gap:
                if entry.position == target {
                    if left == 0 { return }
                    left -= 1
                }
                step()
            case .end: return
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
                if count > consumed {
                    try append(entry, stream, offset, Int(count - consumed), maxBytes, &batch)
                }
                // The last entry may still grow, so the reader stays on it.
                guard consumed == count, try hasSuccessor() else {
                    if consumed < count { continue }
                    return batch
                }
                step()
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
        _ entry: IndexRecord, _ stream: OutputStream, _ offset: UInt64, _ available: Int, _ maxBytes: Int,
        _ batch: inout Batch
    ) throws(Failure) {
        let count = min(available, maxBytes - batch.bytes.count)
        let file = try dataFile(stream)
        let start = Int(offset + UInt64(consumed) - header.offsets[stream.slot])
        let bytes = try OutboxReader.attempt { () throws(SystemCallError) in try file.read(at: start, count: count) }
        guard bytes.count == count else {
            throw .system(SystemCallError("read \(stream.name).\(header.number)", code: EIO))
        }
        if batch.bytes.isEmpty { batch.bytes = bytes } else { batch.bytes += bytes }
        batch.pieces.append(
            Piece(stream: stream, position: position, time: entry.time, count: count, dropped: 0))
        consumed += UInt32(count)
        position += UInt64(count)
    }

    private func step() {
        record += 1
        consumed = 0
    }

    private var cache: (first: Int, bytes: [UInt8]) = (0, [])

    /// The entry with that number; nil where it is not written or is being written.
    private func entry(at number: Int) throws(Failure) -> IndexRecord? {
        // Entries before the last of the file never change; the last may grow, so it is read again.
        let slot = (number - cache.first) * IndexRecord.size
        if slot >= 0, slot + 2 * IndexRecord.size <= cache.bytes.count {
            return IndexRecord(cache.bytes[slot..<slot + IndexRecord.size])
        }
        let index = index
        let bytes = try OutboxReader.attempt { () throws(SystemCallError) in
            try index.read(at: SegmentHeader.size + number * IndexRecord.size, count: 256 * IndexRecord.size)
        }
        cache = (number, bytes)
        guard bytes.count >= IndexRecord.size else { return nil }
        return IndexRecord(bytes[0..<IndexRecord.size])
    }

    private func hasSuccessor() throws(Failure) -> Bool {
        if try entry(at: record + 1) != nil { return true }
        return try nextSegment() != nil
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
