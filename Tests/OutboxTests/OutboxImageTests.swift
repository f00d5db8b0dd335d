import Glibc
import Kernel
import Outbox
import TestSupport
import Testing

/// Outboxes that were cut or changed, as a reader finds them without a writer: what it gives is what was said, up to
/// where it stops with an error or waits.
struct OutboxImageTests {
    /// Two segments of both streams, the last with the end of the output.
    private static func outbox() throws -> OutboxFixture {
        let outbox = try OutboxFixture()
        for segment in 0..<2 {
            for (step, text) in ["alpha", "be", "gamma!", "d", "epsilon"].enumerated() {
                outbox.now += 2_000_000
                try outbox.say(step % 2 == 0 ? .stdout : .stderr, Array("\(segment)\(text)".utf8))
            }
            if segment == 0 { try outbox.writer.closeSegment() }
        }
        try outbox.drop(.stderr, 5)
        try outbox.writer.end()
        return outbox
    }

    private static let names = ["index.0", "index.1", "stdout.0", "stdout.1", "stderr.0", "stderr.1"]

    /// What a reader gives of the outbox whose file `name` has these bytes.
    private static func read(
        _ outbox: OutboxFixture, _ name: String, _ bytes: [UInt8]
    ) throws -> (reading: Reading, isWhole: Bool, error: OutboxReader.Failure?) {
        let file = try FileDescriptor.open("\(outbox.directory)/\(name)", flags: O_RDWR)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        var reading = Reading()
        do {
            guard let reader = try outbox.reader() else { return (reading, false, nil) }
            while try reading.step(reader, maxBytes: 7) {}
            return (reading, reader.isAtEnd, nil)
        } catch let error as OutboxReader.Failure {
            return (reading, false, error)
        }
    }

    private static func bytes(_ outbox: OutboxFixture, _ name: String) throws -> [UInt8] {
        try FileDescriptor.open("\(outbox.directory)/\(name)", flags: O_RDONLY).read(at: 0, count: 1 << 20)
    }

    @Test(arguments: names) func `a file that is cut anywhere gives a beginning`(_ name: String) throws {
        let outbox = try OutboxImageTests.outbox()
        let whole = try OutboxImageTests.bytes(outbox, name)
        let said = outbox.transcript
        for cut in whole.indices {
            let found = try OutboxImageTests.read(outbox, name, Array(whole[..<cut]))
            let count = found.reading.transcript.bytes.count
            #expect(found.reading.violations == [])
            #expect(found.reading.transcript.bytes == Array(said.bytes.prefix(count)), "\(cut) bytes")
            #expect(found.reading.transcript.streams == Array(said.streams.prefix(count)), "\(cut) bytes")
            // What is missing is an error, or may come: it is never taken for the end.
            #expect(!found.isWhole, "\(cut) bytes")
            if name.hasSuffix("0") { #expect(found.error != nil, "\(cut) bytes") }
        }
    }

    @Test(arguments: ["index.0", "index.1"]) func `an index with a flipped bit gives no wrong byte`(
        _ name: String
    ) throws {
        let outbox = try OutboxImageTests.outbox()
        let whole = try OutboxImageTests.bytes(outbox, name)
        let said = outbox.transcript
        for bit in stride(from: 0, to: whole.count * 8, by: 7) {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let found = try OutboxImageTests.read(outbox, name, bytes)
            let count = found.reading.transcript.bytes.count
            #expect(found.reading.violations == [])
            #expect(found.reading.transcript.bytes == Array(said.bytes.prefix(count)), "bit \(bit)")
            #expect(found.reading.transcript.streams == Array(said.streams.prefix(count)), "bit \(bit)")
            #expect(!found.isWhole, "bit \(bit)")
            // Only the last entry may be one that is being written.
            let isLast = name == "index.1" && bit / 8 >= whole.count - IndexRecord.size
            #expect((found.error == nil) == isLast, "bit \(bit)")
        }
    }
}
