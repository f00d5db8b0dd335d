import Backends
import Storage

/// One job's log as the store knows it: blocks in objects, blocks that wait to be written, and the open tail.
///
/// Belongs to the store's actor.
final class S3Log {
    /// A block in an object.
    struct Stored: Sendable {
        var header: BlockHeader
        var key: String

        /// Bytes that the block takes, its entry in the index included.
        var size: UInt64 { UInt64(header.range.count) + UInt64(LogObject.entrySize) }
    }

    /// The most bytes and fragments of a block, those of local-gzip.
    static let blockBytes = 1 << 20
    static let blockFragments = 1 << 15

    let job: JobID
    var blocks: [Stored]
    var sealed: [LogObject.Block] = []
    var tail: LogBlock
    /// The gap notes at the end of what is behind the tail.
    var notes: [Fragment]
    var lastUse: UInt64 = 0

    init(job: JobID, blocks: [Stored] = [], notes: [Fragment] = []) {
        self.job = job
        self.blocks = blocks
        self.notes = notes
        tail = LogBlock(at: blocks.last?.header.end ?? .start)
    }

    var exists: Bool { !blocks.isEmpty || !sealed.isEmpty || !tail.isEmpty }
    /// Whether nothing would be lost by forgetting this value.
    var isClean: Bool { sealed.isEmpty && tail.isEmpty }
    var end: UInt64 { tail.end.position }
    /// The position up to which the log is in objects; nil where nothing of it is.
    var durableEnd: UInt64? { blocks.last?.header.end.position }
    /// Bytes of text that wait in sealed blocks.
    var sealedText: Int { sealed.reduce(0) { $0 + Int($1.header.end.position - $1.header.start.position) } }
    /// What the log holds in memory.
    var bytesInMemory: Int { sealed.reduce(tail.byteCount) { $0 + $1.bytes.count } }
    var isTailFull: Bool { tail.byteCount >= Self.blockBytes || tail.fragments.count >= Self.blockFragments }

    /// The gap notes at the end: what a repeated run may bring again.
    var notesAtEnd: [Fragment] {
        tail.start.position == tail.end.position ? notes + tail.notesAtEnd : Array(tail.notesAtEnd)
    }

    /// Compresses the tail into a block that waits to be written.
    func seal(with gzip: borrowing Gzip) {
        guard !tail.isEmpty else { return }
        notes = notesAtEnd
        sealed.append(LogObject.Block(tail, of: job, with: gzip))
        tail.restart(keepsBuffers: isTailFull)
    }

    /// Goes on at `position` with a note of the bytes before it that are lost.
    func skip(to position: UInt64, time: Int64, with gzip: borrowing Gzip) {
        let lost = position - end
        seal(with: gzip)
        notes = []
        tail = LogBlock(at: LogCursor(position: position))
        var run = FragmentRun(start: position)
        run.appendGap(stream: .stdout, time: time, dropped: lost)
        var place = RunPlace()
        take(&place, of: run)
    }

    /// Takes as much of a run as the tail has room for.
    func take(_ place: inout RunPlace, of run: FragmentRun) {
        run.bytes.withUnsafeBytes { bytes in
            tail.take(
                &place, of: run, bytes, maxBytes: Self.blockBytes, maxFragments: Self.blockFragments)
        }
    }

    /// Notes that the first blocks that waited are in an object now.
    func commit(_ headers: [BlockHeader], key: String) {
        blocks += headers.map { Stored(header: $0, key: key) }
        sealed.removeFirst(headers.count)
    }

    /// Lets the blocks of one object stand in place of everything before their end.
    func trim(by entries: [LogObject.Entry], key: String) {
        guard let end = entries.last?.header.end else { return }
        blocks = entries.map { Stored(header: $0.header, key: key) } + blocks.filter { $0.header.start >= end }
    }

    /// The headers of all blocks, by place, those in memory included.
    var headers: [BlockHeader] { blocks.map(\.header) + sealed.map(\.header) }

    /// The beginning of the block that holds the first of the last `lines` lines, or of one before it.
    func cursor(forLast lines: Int, of query: LogQuery) -> LogCursor {
        let limit = query.endPosition ?? .max
        guard lines > 0 else { return limit < end ? LogCursor(position: limit) : tail.end }
        // A stream's first newline from a place on may end a line that began before it.
        let (enough, isTooMany) = lines.addingReportingOverflow(query.streams.count)
        if isTooMany { return .start }
        var found = 0
        func holds(_ times: ClosedRange<Int64>, _ end: UInt64) -> Bool {
            end <= limit && times.lowerBound >= query.since ?? .min && times.upperBound <= query.until ?? .max
        }
        if let times = tail.times, holds(times, tail.end.position) {
            for stream in query.streams { found += newlines(in: tail.bytes(of: stream)) }
            if found >= enough { return tail.start }
        }
        // A block that the query cuts counts for nothing: its lines may lie outside.
        for header in headers.reversed() where holds(header.times, header.end.position) {
            for stream in query.streams { found += Int(header.member(of: stream).lines) }
            if found >= enough { return header.start }
        }
        return .start
    }

    /// What is held.
    var statistics: LogStatistics {
        var statistics = LogStatistics(bytes: 0, lines: 0, storedBytes: 0, times: tail.times)
        for stream in LogStream.allCases {
            let bytes = tail.bytes(of: stream)
            statistics.bytes += UInt64(bytes.count)
            statistics.lines += UInt64(newlines(in: bytes))
        }
        for block in blocks { statistics.storedBytes += block.size }
        for header in headers {
            statistics.bytes += UInt64(header.stdout.length) + UInt64(header.stderr.length)
            statistics.lines += UInt64(header.stdout.lines) + UInt64(header.stderr.lines)
            let times = statistics.times ?? header.times
            statistics.times =
                min(times.lowerBound, header.times.lowerBound)...max(times.upperBound, header.times.upperBound)
        }
        return statistics
    }
}
