import Glibc
import Kernel
import Outbox
import TestSupport

/// What a job said, byte by byte: what an outbox must give back.
struct Transcript: Equatable {
    struct Note: Equatable {
        let position: Int
        let stream: OutputStream
        let dropped: UInt64
    }

    var streams: [OutputStream] = []
    var bytes: [UInt8] = []
    var notes: [Note] = []

    mutating func say(_ stream: OutputStream, _ said: some Collection<UInt8>) {
        streams += repeatElement(stream, count: said.count)
        bytes += said
    }

    mutating func drop(_ stream: OutputStream, _ count: UInt64) {
        notes.append(Note(position: bytes.count, stream: stream, dropped: count))
    }

    func of(_ stream: OutputStream) -> [UInt8] { zip(streams, bytes).filter { $0.0 == stream }.map(\.1) }

    /// What is behind a position, without the first `gaps` notes there.
    func suffix(from position: Int, gaps: Int = 0) -> Transcript {
        Transcript(
            streams: Array(streams[position...]), bytes: Array(bytes[position...]),
            notes: Array(notes.filter { $0.position >= position }.dropFirst(gaps)))
    }
}

/// What a reader gave so far, with the promises about positions and times checked.
struct Reading {
    var transcript = Transcript()
    var time = Int64.min
    var violations: [String] = []
    let start: Int

    init(start: Int = 0) { self.start = start }

    /// Reads until nothing more is there.
    mutating func follow(_ reader: OutboxReader, maxBytes: Int = 1 << 20) throws {
        while try step(reader, maxBytes: maxBytes) {}
    }

    /// Reads once; whether there was anything.
    mutating func step(_ reader: OutboxReader, maxBytes: Int) throws -> Bool {
        let batch = try reader.read(maxBytes: maxBytes)
        var offset = 0
        for piece in batch.pieces {
            let position = start + transcript.bytes.count
            if piece.position != UInt64(position) { violations.append("position \(piece.position), not \(position)") }
            if piece.time < time { violations.append("time \(piece.time) after \(time)") }
            time = piece.time
            if piece.dropped > 0 {
                transcript.notes.append(.init(position: position, stream: piece.stream, dropped: piece.dropped))
            } else {
                transcript.say(piece.stream, batch.bytes[offset..<offset + piece.count])
                offset += piece.count
            }
        }
        if offset != batch.bytes.count { violations.append("\(batch.bytes.count) bytes for pieces of \(offset)") }
        if batch.bytes.count > maxBytes { violations.append("more than \(maxBytes) bytes") }
        return !batch.pieces.isEmpty
    }
}

/// A job's outbox in a directory of its own, fed through a real pipe.
final class OutboxFixture {
    let root: TemporaryDirectory
    let job = OutboxJob(high: 1, low: 2)
    let pipe: Pipe
    var now: Int64 = 1_000_000_000
    var transcript = Transcript()
    private var current: OutboxWriter?
    private let segmentBytes: Int

    init(segmentBytes: Int = 1 << 30) throws {
        root = try TemporaryDirectory()
        pipe = try Pipe(capacity: 1 << 20)
        try pipe.readEnd.setNonBlocking()
        self.segmentBytes = segmentBytes
        try reopen()
    }

    var files: SegmentFiles { SegmentFiles(root: root.path, job: job) }
    var directory: String { files.path }

    var writer: OutboxWriter {
        get throws {
            guard let current else { throw SystemCallError("no writer", code: EBADF) }
            return current
        }
    }

    /// Replaces the writer by a new one, as a new pump does.
    func reopen() throws {
        current = nil
        current = try OutboxWriter(
            root: root.path, job: job, segmentBytes: segmentBytes, clock: { [unowned self] in now })
    }

    /// Says `bytes` through the pipe and has them recorded.
    func say(_ stream: OutputStream, _ bytes: [UInt8], limit: Int = OutboxWriter.moveLimit) throws {
        guard write(pipe.writeEnd.number, bytes, bytes.count) == bytes.count else {
            throw SystemCallError.current("write")
        }
        transcript.say(stream, bytes)
        while case .bytes = try writer.move(from: pipe.readEnd, stream: stream, limit: limit) {}
    }

    func drop(_ stream: OutputStream, _ count: UInt64) throws {
        try writer.recordGap(stream: stream, dropped: count)
        transcript.drop(stream, count)
    }

    func reader() throws -> OutboxReader? { try OutboxReader(root: root.path, job: job) }

    /// Everything a new reader gives.
    func readAll() throws -> Reading {
        guard let reader = try reader() else { return Reading() }
        var reading = Reading(start: Int(reader.position))
        try reading.follow(reader)
        return reading
    }
}
