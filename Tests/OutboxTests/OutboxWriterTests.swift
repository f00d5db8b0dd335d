import Glibc
import Kernel
import Outbox
import TestSupport
import Testing

struct OutboxWriterTests {
    @Test("random output of two streams comes back as it was said", arguments: 0..<24)
    func interleavings(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let outbox = try OutboxFixture(segmentBytes: .random(in: 200...6000, using: &random))
        let reader = try #require(try outbox.reader())
        var reading = Reading()
        for _ in 0..<200 {
            let stream = OutputStream.allCases.randomElement(using: &random) ?? .stdout
            switch random.next() % 16 {
            case 0..<8:
                let bytes = random.bytes(.random(in: 1...800, using: &random))
                try outbox.say(stream, bytes, limit: .random(in: 1...900, using: &random))
            case 8: try outbox.drop(stream, .random(in: 1...9, using: &random))
            case 9: outbox.now += .random(in: 0...3_000_000, using: &random)
            case 10: outbox.now -= .random(in: 0...3_600_000_000_000, using: &random)
            case 11: try outbox.reopen()
            case 12: try outbox.writer.closeSegment()
            case 13:
                for number in try outbox.files.numbers() where number < reader.segment {
                    try outbox.files.remove(number)
                }
                try outbox.writer.recount()
            default: _ = try reading.step(reader, maxBytes: .random(in: 1...1500, using: &random))
            }
        }
        try outbox.writer.end()
        try reading.follow(reader)
        #expect(reading.violations == [])
        #expect(reading.transcript == outbox.transcript)
        #expect(reader.isAtEnd)
        #expect(try outbox.writer.position == UInt64(outbox.transcript.bytes.count))
    }

    @Test("moves within a millisecond share an entry, later ones and other streams do not") func merging() throws {
        let outbox = try OutboxFixture()
        func entries() throws -> Int {
            let header = SegmentHeader.size
            return (try FileDescriptor.open(outbox.directory + "/index.0", flags: O_RDONLY).size() - header)
                / IndexRecord.size
        }
        for _ in 0..<10 { try outbox.say(.stdout, [1]) }
        #expect(try entries() == 1)
        outbox.now += 1_000_001
        try outbox.say(.stdout, [2])
        #expect(try entries() == 2)
        try outbox.say(.stderr, [3])
        try outbox.say(.stdout, [4])
        #expect(try entries() == 4)
        #expect(try outbox.readAll().transcript == outbox.transcript)
    }

    @Test("no time is smaller than the one before, though the clock steps back an hour", arguments: [false, true])
    func clockStepsBack(_ withNewWriter: Bool) throws {
        let outbox = try OutboxFixture()
        outbox.now = 10_000_000_000_000
        try outbox.say(.stdout, [1])
        // All that an earlier segment knew is gone, and the new one is empty.
        try outbox.writer.closeSegment()
        try outbox.files.remove(0)
        outbox.now -= 3_600_000_000_000
        if withNewWriter { try outbox.reopen() }
        try outbox.say(.stdout, [2])
        try outbox.say(.stderr, [3])
        let reader = try #require(try outbox.reader())
        let times = try reader.read(maxBytes: 100).pieces.map(\.time)
        #expect(times == [10_000_000_000_000, 10_000_000_000_000])
    }

    @Test("the bytes that count are those on the disk, until they are released") func outstanding() throws {
        let outbox = try OutboxFixture(segmentBytes: 1000)
        for count in 1...40 {
            outbox.now += 2_000_000
            try outbox.say(count % 2 == 0 ? .stdout : .stderr, [UInt8](repeating: 1, count: count * 7))
        }
        let used = OutboxUsage.bytes(root: outbox.root.path, job: outbox.job)
        #expect(try outbox.writer.outstandingBytes == used)
        let numbers = try outbox.files.numbers()
        #expect(numbers.count > 4)
        for number in numbers.dropLast(2) { try outbox.files.remove(number) }
        try outbox.writer.recount()
        #expect(try outbox.writer.outstandingBytes == OutboxUsage.bytes(root: outbox.root.path, job: outbox.job))
        try outbox.reopen()
        #expect(try outbox.writer.outstandingBytes == OutboxUsage.bytes(root: outbox.root.path, job: outbox.job))
        #expect(OutboxUsage.all(root: outbox.root.path) == [outbox.job: try outbox.writer.outstandingBytes])
    }

    @Test("a segment ends only behind data, so that all notes at a position lie in one") func closing() throws {
        let outbox = try OutboxFixture()
        try outbox.writer.closeSegment()
        #expect(try outbox.files.numbers() == [0])
        try outbox.say(.stdout, [1, 2])
        try outbox.writer.closeSegment(ifAtLeast: 1 << 20)
        #expect(try outbox.files.numbers() == [0])
        try outbox.writer.closeSegment()
        try outbox.drop(.stdout, 5)
        try outbox.writer.closeSegment()
        try outbox.drop(.stderr, 6)
        #expect(try outbox.files.numbers() == [0, 1])
        try outbox.files.remove(0)
        let reader = try #require(try outbox.reader())
        try reader.seek(to: 2, gaps: 1)
        #expect(try reader.read(maxBytes: 10).pieces.map(\.dropped) == [6])
    }

    @Test("a stream that says nothing has no file") func silence() throws {
        let outbox = try OutboxFixture()
        #expect(try outbox.writer.move(from: outbox.pipe.readEnd, stream: .stderr) == .empty)
        try outbox.say(.stdout, [1])
        #expect(try Set(Directory.names(in: outbox.directory)) == ["index.0", "stdout.0"])
    }

    @Test("a pipe that is empty and one that is closed are told apart") func emptyAndClosed() throws {
        let outbox = try OutboxFixture()
        var pipe: Pipe? = try Pipe()
        let readEnd = try #require(pipe?.readEnd)
        try readEnd.setNonBlocking()
        #expect(try outbox.writer.move(from: readEnd, stream: .stdout) == .empty)
        pipe = nil
        #expect(try outbox.writer.move(from: readEnd, stream: .stdout) == .closed)
    }

    @Test("the end is recorded once, and a later writer knows it") func end() throws {
        let outbox = try OutboxFixture()
        try outbox.say(.stdout, [1])
        try outbox.writer.end()
        try outbox.writer.end()
        try outbox.reopen()
        #expect(try outbox.writer.isEnded)
        #expect(try outbox.writer.position == 1)
        try outbox.writer.end()
        #expect(try FileDescriptor.open(outbox.directory + "/index.0", flags: O_RDONLY).size() == 64 + 2 * 32)
    }
}
