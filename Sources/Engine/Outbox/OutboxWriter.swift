import CLinux
import Glibc
public import Kernel

/// Moves one job's output from its pipes into the outbox and records it in the index.
///
/// Bytes go first, their index entry second; a writer that dies in between leaves bytes that the next
/// one finds behind the last entry and records as one fragment. Used by the pump, from one thread.
public final class OutboxWriter {
    /// Entries of one stream at most this far apart become one: nanoseconds.
    static let mergeWindow: Int64 = 1_000_000
    /// The most bytes moved by one call, so that one job's flood does not hold up the others.
    public static let moveLimit = 128 << 10
    private static let indexLimit = 1 << 20

    private let files: SegmentFiles
    private let job: OutboxJob
    private let segmentBytes: Int
    private let clock: () -> Int64

    private var header: SegmentHeader
    private var index: FileDescriptor
    private var data: [FileDescriptor?] = [nil, nil]
    private var recordCount: Int
    private var last: IndexRecord?
    /// Whether a write to the index failed, so that the file may hold more or less than was recorded.
    private var isIndexUncertain = false
    private var offsets: [UInt64]
    /// The ends of the streams in the files: ahead of `offsets` while the index cannot be written.
    private var moved: [UInt64]
    private var lastTime: Int64
    private var older: [(number: UInt32, bytes: Int)] = []
    private var olderBytes = 0

    /// The position after the last recorded byte.
    public var position: UInt64 { offsets[0] + offsets[1] }
    /// Whether the end of the output was recorded.
    public private(set) var isEnded = false

    /// Opens the outbox of `job` below `root`, repairing what an earlier writer left, or creates it.
    ///
    /// `clock` gives nanoseconds since 1970; times in the index never go back.
    public init(
        root: String, job: OutboxJob, segmentBytes: Int, clock: @escaping () -> Int64 = SystemClock.now
    ) throws(SystemCallError) {
        files = SegmentFiles(root: root, job: job)
        self.job = job
        self.segmentBytes = segmentBytes
        self.clock = clock
        let isNew = mkdir(files.path, 0o700) == 0
        if !isNew { try Directory.create(files.path) }
        let numbers = isNew ? [] : try files.numbers()
        if let found = try RecoveredSegment.newest(of: numbers, files: files, job: job) {
            header = found.header
            index = found.index
            recordCount = found.records
            last = found.last
            offsets = found.offsets
            moved = found.offsets
            lastTime = found.last?.time ?? found.header.time
            isEnded = found.last?.kind == .end
            for number in numbers where number < found.header.number {
                older.append((number, try files.size(of: number)))
            }
            olderBytes = older.reduce(0) { $0 + $1.bytes }
            if !isEnded { try recordUnindexedBytes() }
        } else {
            header = SegmentHeader(number: 0, job: job, time: 0, offsets: [0, 0])
            offsets = [0, 0]
            moved = [0, 0]
            lastTime = 0
            recordCount = 0
            index = try OutboxWriter.create(header, files, isFirst: isNew)
        }
    }

    /// Whether the job's outbox was removed as a whole, so that nothing can be recorded any more.
    public var isRemoved: Bool { !Directory.exists(files.path) }

    /// Bytes, index included, that no store has released yet.
    public var outstandingBytes: Int { currentBytes + olderBytes }

    /// Looks which segments were released since.
    public func recount() {
        older.removeAll { !Directory.exists(files.index($0.number)) }
        olderBytes = older.reduce(0) { $0 + $1.bytes }
    }

    private var currentBytes: Int {
        Int(moved[0] + moved[1] - header.base) + SegmentHeader.size + recordCount * IndexRecord.size
    }

    /// What one call to `move` found in a pipe.
    public enum Move: Sendable, Hashable {
        /// That many bytes were moved and recorded.
        case bytes(Int)
        /// The pipe is empty; its other end is still open.
        case empty
        /// The pipe is empty and every other end is closed.
        case closed
    }

    /// Moves at most `limit` bytes from `pipe` into the stream's file and records them.
    ///
    /// Bytes that could not be written stay in the pipe: the error of a full disk loses nothing.
    public func move(
        from pipe: FileDescriptor, stream: OutputStream, limit: Int = OutboxWriter.moveLimit
    ) throws(SystemCallError) -> Move {
        try recordMoved()
        if isFull || data[stream.slot] == nil {
            // No file for a stream that says nothing, and no segment for output that does not come.
            if let idle = try OutboxWriter.idle(pipe) { return idle }
            if isFull { try closeSegment() }
        }
        let file = try dataFile(stream)
        var offset = Int64(moved[stream.slot] - header.offsets[stream.slot])
        try FailPoint.pass("pump.beforeSplice")
        let count = joblet_splice(pipe.number, file.number, &offset, UInt64(limit))
        if count == 0 { return .closed }
        if count == -Int64(EAGAIN) || count == -Int64(EINTR) { return .empty }
        try check(count, "splice to \(stream.name).\(header.number)")
        moved[stream.slot] += UInt64(count)
        try FailPoint.pass("pump.afterSplice")
        try recordMoved()
        return .bytes(Int(count))
    }

    /// What `move` would find in a pipe without bytes; nil where there are some.
    private static func idle(_ pipe: FileDescriptor) throws(SystemCallError) -> Move? {
        var state = pollfd(fd: pipe.number, events: Int16(POLLIN), revents: 0)
        try retrying("poll") { poll(&state, 1, 0) }
        if Int32(state.revents) & POLLIN != 0 { return nil }
        return Int32(state.revents) & POLLHUP != 0 ? .closed : .empty
    }

    /// Reads and forgets at most `limit` bytes of a pipe, for a job that asked for `drop`.
    public func discard(from pipe: FileDescriptor, into null: FileDescriptor) throws(SystemCallError) -> Move {
        try FailPoint.pass("pump.beforeDiscard")
        let count = joblet_splice(pipe.number, null.number, nil, UInt64(OutboxWriter.moveLimit))
        if count == 0 { return .closed }
        if count == -Int64(EAGAIN) || count == -Int64(EINTR) { return .empty }
        return .bytes(Int(try check(count, "splice to /dev/null")))
    }

    /// Notes that `count` bytes of the stream were dropped at the current position.
    public func recordGap(stream: OutputStream, dropped count: UInt64) throws(SystemCallError) {
        try recordMoved()
        try FailPoint.pass("pump.beforeGap")
        try append(IndexRecord(position: position, time: time(), kind: .gap(stream, dropped: count)))
    }

    /// Records that no more output will come.
    public func end() throws(SystemCallError) {
        guard !isEnded else { return }
        try recordMoved()
        try FailPoint.pass("pump.beforeEnd")
        try append(IndexRecord(position: position, time: time(), kind: .end))
        isEnded = true
        try FailPoint.pass("pump.afterEnd")
    }

    /// Brings everything recorded so far to the disk.
    public func synchronize() throws(SystemCallError) {
        for file in data { try file?.synchronizeData() }
        try index.synchronizeData()
        try Directory.synchronize(files.path)
    }

    private func time() -> Int64 {
        lastTime = max(lastTime, clock())
        return lastTime
    }

    /// Records what was moved since the last entry.
    ///
    /// Where that fails the bytes are in the file and out of the pipe: the next call makes up for it.
    private func recordMoved() throws(SystemCallError) {
        for stream in OutputStream.allCases {
            while moved[stream.slot] > offsets[stream.slot] {
                try record(stream: stream, count: Int(min(moved[stream.slot] - offsets[stream.slot], 1 << 31)))
            }
        }
    }

    private func record(stream: OutputStream, count: Int) throws(SystemCallError) {
        let now = time()
        let slot = stream.slot
        if let last, case .data(stream, let offset, let before) = last.kind,
            now - last.time <= OutboxWriter.mergeWindow, let sum = UInt32(exactly: Int(before) + count)
        {
            let merged = IndexRecord(
                position: last.position, time: last.time, kind: .data(stream, offset: offset, count: sum))
            try write(merged, at: recordCount - 1)
            self.last = merged
        } else {
            try append(
                IndexRecord(
                    position: position, time: now,
                    kind: .data(stream, offset: offsets[slot], count: UInt32(count))))
        }
        offsets[slot] += UInt64(count)
    }

    private func append(_ record: IndexRecord) throws(SystemCallError) {
        try write(record, at: recordCount)
        recordCount += 1
        last = record
    }

    private func write(_ record: IndexRecord, at number: Int) throws(SystemCallError) {
        try settleIndex()
        isIndexUncertain = true
        try FailPoint.pass("pump.beforeIndex")
        try index.write(record.encoded, at: SegmentHeader.size + number * IndexRecord.size)
        try FailPoint.pass("pump.afterIndex")
        isIndexUncertain = false
    }

    /// Brings the index back to what was recorded, after a write that failed.
    ///
    /// The entry of that write may be there all the same, and the next one need not be like it.
    private func settleIndex() throws(SystemCallError) {
        guard isIndexUncertain else { return }
        try index.truncate(to: SegmentHeader.size + recordCount * IndexRecord.size)
        if let last {
            try index.write(last.encoded, at: SegmentHeader.size + (recordCount - 1) * IndexRecord.size)
        }
        isIndexUncertain = false
    }

    private var isFull: Bool {
        Int(position - header.base) >= segmentBytes || recordCount * IndexRecord.size >= OutboxWriter.indexLimit
    }

    /// Begins the next segment if this one takes at least `bytes`, so that this one can be released.
    ///
    /// Only behind data, so that all gap notes at one position lie in one segment.
    public func closeSegment(ifAtLeast bytes: Int = 0) throws(SystemCallError) {
        guard case .data = last?.kind, currentBytes >= bytes else { return }
        try recordMoved()
        try settleIndex()
        let next = SegmentHeader(number: header.number + 1, job: job, time: lastTime, offsets: offsets)
        let file = try OutboxWriter.create(next, files, isFirst: false)
        older.append((header.number, currentBytes))
        olderBytes += currentBytes
        header = next
        index = file
        data = [nil, nil]
        recordCount = 0
        last = nil
    }

    private static func create(
        _ header: SegmentHeader, _ files: SegmentFiles, isFirst: Bool
    ) throws(SystemCallError) -> FileDescriptor {
        // A segment that a power cut left without its index must not lend its bytes to this one.
        if !isFirst { try files.removeData(header.number) }
        // Renamed when complete: an index file that exists has a whole header.
        let name = files.index(header.number)
        let file = try FileDescriptor.open("\(name).new", flags: O_RDWR | O_CREAT | O_TRUNC)
        try FailPoint.pass("pump.beforeHeader")
        try file.write(header.encoded, at: 0)
        try FailPoint.pass("pump.beforeRename")
        if rename("\(name).new", name) != 0 { throw .current("rename index.\(header.number)") }
        try FailPoint.pass("pump.afterRename")
        return file
    }

    private func dataFile(_ stream: OutputStream) throws(SystemCallError) -> FileDescriptor {
        if let file = data[stream.slot] { return file }
        let file = try FileDescriptor.open(files.data(stream, header.number), flags: O_RDWR | O_CREAT)
        data[stream.slot] = file
        return file
    }

    /// Records the bytes that a writer moved but did not index before it died.
    private func recordUnindexedBytes() throws(SystemCallError) {
        for stream in OutputStream.allCases {
            guard let size = try files.dataSize(stream, header.number) else { continue }
            moved[stream.slot] = max(moved[stream.slot], header.offsets[stream.slot] + size)
        }
        try recordMoved()
    }
}
