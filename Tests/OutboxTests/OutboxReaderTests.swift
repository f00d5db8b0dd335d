import Dispatch
import Glibc
import Kernel
import Outbox
import TestSupport
import Testing

import class Foundation.Thread

struct OutboxReaderTests {
    @Test("a reader that follows a writer gets every byte once", arguments: 0..<6)
    func follows(_ seed: UInt64) throws {
        let outbox = try OutboxFixture()
        let (root, job) = (outbox.root, outbox.job)
        let expected = Handover()
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            var random = SeededGenerator(seed: seed)
            do {
                let pipe = try Pipe()
                try pipe.readEnd.setNonBlocking()
                // Real time, so that entries grow while the reader looks at them.
                let writer = try OutboxWriter(root: root.path, job: job, segmentBytes: 20_000)
                var transcript = Transcript()
                for _ in 0..<6000 {
                    let bytes = random.bytes(.random(in: 1...40, using: &random))
                    let stream: OutputStream = random.next() % 8 == 0 ? .stderr : .stdout
                    guard write(pipe.writeEnd.number, bytes, bytes.count) == bytes.count else { break }
                    _ = try writer.move(from: pipe.readEnd, stream: stream)
                    transcript.say(stream, bytes)
                }
                try writer.end()
                expected.transcript = transcript
            } catch {
                expected.failure = "\(error)"
            }
            done.signal()
        }
        thread.start()
        let reader = try #require(try outbox.reader())
        var reading = Reading()
        let deadline = SystemClock.sinceBoot() + 120_000_000_000
        while !reader.isAtEnd, SystemClock.sinceBoot() < deadline { try reading.follow(reader, maxBytes: 777) }
        done.wait()
        #expect(expected.failure == nil)
        #expect(reading.violations == [])
        #expect(reading.transcript == expected.transcript)
    }

    /// Written by one thread before it signals, read by another after it waited.
    private final class Handover: @unchecked Sendable {
        var transcript = Transcript()
        var failure: String?
    }

    /// Several segments with entries of both streams, and one, two and three notes at a position.
    private static func withNotes() throws -> OutboxFixture {
        let outbox = try OutboxFixture(segmentBytes: 12)
        for step in 0..<14 {
            outbox.now += 2_000_000
            let stream: OutputStream = step % 3 == 1 ? .stderr : .stdout
            try outbox.say(stream, (0..<UInt8(step % 5 + 1)).map { UInt8(step) << 4 | $0 })
            if step % 4 == 1 {
                for count in 0...step / 4 { try outbox.drop(count % 2 == 0 ? .stdout : .stderr, UInt64(count + 1)) }
            }
        }
        try outbox.writer.end()
        return outbox
    }

    @Test("a reader goes to any position, and behind any note there") func seek() throws {
        let outbox = try OutboxReaderTests.withNotes()
        let total = outbox.transcript.bytes.count
        #expect(try outbox.files.numbers().count > 2)
        for position in 0...total {
            for gaps in 0...outbox.transcript.notes.filter({ $0.position == position }).count {
                let reader = try #require(try outbox.reader())
                try reader.seek(to: UInt64(position), gaps: gaps)
                var reading = Reading(start: position)
                try reading.follow(reader, maxBytes: 3)
                let expected = outbox.transcript.suffix(from: position, gaps: gaps)
                #expect(reading.violations == [], "position \(position), \(gaps) notes")
                #expect(reading.transcript == expected, "position \(position), \(gaps) notes")
                #expect(reader.isAtEnd)
            }
        }
    }

    @Test("a reader that seeks beyond what is written goes on where it is") func seekBeyond() throws {
        let outbox = try OutboxFixture()
        try outbox.say(.stdout, [1, 2, 3])
        let reader = try #require(try outbox.reader())
        try reader.seek(to: 10, gaps: 0)
        #expect(reader.position == 3)
        try outbox.say(.stdout, [4])
        #expect(try reader.read(maxBytes: 10).bytes == [4])
    }

    @Test("a reader behind a removed segment is told so, and a new one begins later") func released() throws {
        let outbox = try OutboxReaderTests.withNotes()
        let reader = try #require(try outbox.reader())
        let numbers = try outbox.files.numbers()
        try outbox.files.remove(numbers[0])
        #expect(throws: OutboxReader.Failure.released) {
            while try !reader.read(maxBytes: 1 << 20).pieces.isEmpty {}
        }
        let second = try #require(try outbox.reader())
        #expect(second.segment == numbers[1])
        #expect(throws: OutboxReader.Failure.released) { try second.seek(to: 0, gaps: 0) }
        let base = Int(second.position)
        var reading = Reading(start: base)
        try reading.follow(second)
        #expect(reading.transcript.bytes == outbox.transcript.suffix(from: base).bytes)
    }

    @Test("a segment whose removal was interrupted is skipped", arguments: ["stdout", "stderr"])
    func halfRemoved(_ stream: String) throws {
        let outbox = try OutboxReaderTests.withNotes()
        #expect(unlink(outbox.directory + "/\(stream).0") == 0)
        let reader = try #require(try outbox.reader())
        #expect(reader.segment == 1)
        // A new pump must not take it for a hole either.
        try outbox.reopen()
        #expect(try outbox.files.numbers().count > 2)
        #expect(try outbox.writer.position == UInt64(outbox.transcript.bytes.count))
        try outbox.files.remove(0)
        #expect(try outbox.reader()?.segment == 1)
    }

    @Test("a job without an outbox has no reader; one that is removed wholly has none any more") func absent() throws {
        let outbox = try OutboxReaderTests.withNotes()
        #expect(try OutboxReader(root: outbox.root.path, job: OutboxJob(high: 9, low: 9)) == nil)
        try outbox.files.removeAll()
        try outbox.files.removeAll()
        #expect(try outbox.reader() == nil)
    }

    @Test("a hole between segments is an error, not a jump") func hole() throws {
        let outbox = try OutboxReaderTests.withNotes()
        // The last entry of the first segment goes, as in a power cut.
        let index = try FileDescriptor.open(outbox.directory + "/index.0", flags: O_RDWR)
        try index.truncate(to: try index.size() - IndexRecord.size)
        let reader = try #require(try outbox.reader())
        #expect(throws: OutboxReader.Failure.self) {
            while try !reader.read(maxBytes: 1 << 20).pieces.isEmpty {}
        }
    }
}
