import Glibc
import Kernel
import Outbox
import Testing

struct OutboxRecoveryTests {
    /// Two segments, the second with a few entries of both streams.
    private static func tail() throws -> OutboxFixture {
        let outbox = try OutboxFixture()
        try outbox.say(.stdout, Array("first".utf8))
        try outbox.say(.stderr, Array("segment".utf8))
        try outbox.writer.closeSegment()
        for (step, text) in ["alpha", "be", "gamma!", "d", "epsilon"].enumerated() {
            outbox.now += 2_000_000
            try outbox.say(step % 2 == 0 ? .stderr : .stdout, Array(text.utf8))
        }
        return outbox
    }

    /// Damages `name` with `damage`, opens a new writer, and checks what must hold whatever the damage.
    private static func recover(
        _ name: String, lost: OutputStream?, to size: Int? = nil, _ damage: (inout [UInt8]) -> Void
    ) throws {
        let outbox = try tail()
        let path = outbox.directory + "/" + name
        let file = try FileDescriptor.open(path, flags: O_RDWR)
        var bytes = try file.read(at: 0, count: 1 << 20)
        damage(&bytes)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        try outbox.reopen()
        let position = try outbox.writer.position
        // The log goes on behind what was saved.
        outbox.now += 2_000_000
        try outbox.say(.stdout, Array("after".utf8))
        try outbox.writer.end()
        let reading = try outbox.readAll()
        #expect(reading.violations == [])
        #expect(reading.transcript.bytes.count == Int(position) + 5)
        for stream in OutputStream.allCases {
            let all = outbox.transcript.of(stream), got = reading.transcript.of(stream)
            if stream == lost, let size {
                #expect(got == all.prefix(size) + (stream == .stdout ? Array("after".utf8) : []), "\(name)")
            } else {
                // The index can be lost, bytes that are in their files cannot.
                #expect(got == all, "\(name)")
            }
        }
    }

    @Test("an index cut anywhere loses no byte") func cutIndex() throws {
        let size = SegmentHeader.size + 5 * IndexRecord.size
        for count in 0...size { try OutboxRecoveryTests.recover("index.1", lost: nil) { $0 = Array($0.prefix(count)) } }
    }

    @Test("an index with any bit flipped loses no byte") func flippedIndex() throws {
        let size = SegmentHeader.size + 5 * IndexRecord.size
        for byte in 0..<size {
            try OutboxRecoveryTests.recover("index.1", lost: nil) { $0[byte] ^= 1 << UInt8(byte % 8) }
        }
    }

    @Test("garbage behind the last entry is cut off") func garbage() throws {
        for count in 1...70 {
            try OutboxRecoveryTests.recover("index.1", lost: nil) {
                $0 += [UInt8](repeating: UInt8(count), count: count)
            }
        }
    }

    @Test("a file cut anywhere loses what was cut and nothing else", arguments: OutputStream.allCases)
    func cutData(_ stream: OutputStream) throws {
        let before = stream == .stdout ? 5 : 7
        let size = stream == .stdout ? 3 : 18
        for count in 0...size {
            try OutboxRecoveryTests.recover("\(stream.name).1", lost: stream, to: before + count) {
                $0 = Array($0.prefix(count))
            }
        }
    }

    @Test("bytes that were moved but not recorded become one fragment") func unrecorded() throws {
        let outbox = try OutboxRecoveryTests.tail()
        let file = try FileDescriptor.open(outbox.directory + "/stderr.1", flags: O_RDWR)
        try file.write(Array("lost and found".utf8), at: try file.size())
        outbox.transcript.say(.stderr, Array("lost and found".utf8))
        outbox.now += 2_000_000
        try outbox.reopen()
        let reading = try outbox.readAll()
        #expect(reading.violations == [])
        #expect(reading.transcript == outbox.transcript)
    }

    @Test("a hole that a power cut left between segments ends the log there") func hole() throws {
        let outbox = try OutboxRecoveryTests.tail()
        let index = try FileDescriptor.open(outbox.directory + "/index.0", flags: O_RDWR)
        try index.truncate(to: SegmentHeader.size + IndexRecord.size)
        try FileDescriptor.open(outbox.directory + "/stderr.0", flags: O_RDWR).truncate(to: 3)
        try outbox.reopen()
        #expect(try outbox.files.numbers() == [0])
        #expect(!Directory.exists(outbox.directory + "/stdout.1"))
        let reading = try outbox.readAll()
        #expect(reading.violations == [])
        #expect(String(decoding: reading.transcript.bytes, as: UTF8.self) == "firstseg")
        #expect(try outbox.writer.position == 8)
    }

    @Test("bytes of a segment that never began are not taken for output") func leftovers() throws {
        let outbox = try OutboxFixture()
        try outbox.say(.stdout, [1, 2, 3])
        // A power cut kept the data of the next segment, but neither its index nor what made it necessary.
        let stale = try FileDescriptor.open(outbox.directory + "/stdout.1", flags: O_RDWR | O_CREAT)
        try stale.write([9, 9, 9, 9, 9, 9], at: 0)
        try outbox.reopen()
        try outbox.writer.closeSegment()
        try outbox.say(.stdout, [4])
        try outbox.reopen()
        #expect(try outbox.readAll().transcript == outbox.transcript)
    }

    @Test("an index that never got its name leaves no trace") func unnamed() throws {
        let outbox = try OutboxFixture()
        try outbox.say(.stdout, [1])
        _ = try FileDescriptor.open(outbox.directory + "/index.1.new", flags: O_RDWR | O_CREAT)
        try outbox.reopen()
        #expect(try outbox.files.numbers() == [0])
        try outbox.writer.closeSegment()
        try outbox.say(.stderr, [2])
        #expect(try outbox.readAll().transcript == outbox.transcript)
    }

    @Test("a first segment whose place in the log nobody knows is an error, not a log from zero")
    func unknownBase() throws {
        let outbox = try OutboxRecoveryTests.tail()
        try outbox.files.remove(0)
        try FileDescriptor.open(outbox.directory + "/index.1", flags: O_RDWR).truncate(to: 0)
        #expect(throws: SystemCallError.self) { try outbox.reopen() }
    }
}
