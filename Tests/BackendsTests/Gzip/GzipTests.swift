import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite final class GzipTests {
    let gzip = Gzip()

    /// Texts that compress well, badly and not at all, around the sizes of the libraries' buffers.
    static let samples: [[UInt8]] = {
        var sample = SampleLog(seed: 1)
        let sizes = [0, 1, 2, 17, 255, 4096, 32_768, 65_535, 65_536, 300_001, 1 << 20]
        return sizes.flatMap { size in
            [
                [UInt8](repeating: 0x61, count: size),
                sample.lines(bytes: size).bytes,
                (0..<size).map { _ in UInt8(truncatingIfNeeded: sample.next()) },
            ]
        }
    }()

    @Test func `every text comes back as it was`() throws {
        for text in Self.samples {
            let member = compress(text)
            #expect(try inflate(member, capacity: text.count + 1) == text)
            #expect(try inflate(member, capacity: text.count) == text)
        }
    }

    @Test func `a member does not depend on the one before it`() {
        let text = Self.samples[13]
        let first = compress(text)
        _ = compress(Self.samples[14])
        #expect(compress(text) == first)
    }

    @Test func `a text that is longer than the bound is refused`() {
        let member = compress(Self.samples[13])
        #expect(throws: Gzip.Failure.tooLong) { try inflate(member, capacity: Self.samples[13].count - 1) }
    }

    @Test func `a member that is not whole is damaged`() {
        let member = compress(Array("one line\nanother line\n".utf8))
        for count in 0..<member.count {
            let part = Array(member[..<count])
            #expect(throws: Gzip.Failure.damaged, "\(count) bytes") { try inflate(part, capacity: 99) }
        }
        #expect(throws: Gzip.Failure.damaged) { try inflate(member + [0], capacity: 99) }
        #expect(throws: Gzip.Failure.damaged) { try inflate(member + member, capacity: 99) }
    }

    @Test func `a bit that flipped in the text is found`() {
        let text = Array("one line\nanother line\n".utf8)
        let member = compress(text)
        // Behind the ten bytes of the header everything counts: the text, its checksum, its length.
        for bit in 80..<member.count * 8 {
            var flipped = member
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let result = try? inflate(flipped, capacity: 99)
            #expect(result == nil || result == text, "bit \(bit)")
        }
    }

    @Test func `the empty member is one`() throws {
        #expect(Gzip.emptyMember.count == 20)
        #expect(try inflate(Gzip.emptyMember, capacity: 1) == [])
    }

    @Test func `the checksum is that of gzip`() {
        let digits = Array("123456789".utf8)
        #expect(digits.withUnsafeBytes { crc32($0) } == 0xcbf4_3926)
        let parts = digits[..<4].withUnsafeBytes { crc32($0) }
        #expect(digits[4...].withUnsafeBytes { crc32($0, after: parts) } == 0xcbf4_3926)
        #expect([UInt8]().withUnsafeBytes { crc32($0) } == 0)
    }

    @Test func `newlines are counted at every length`() {
        var sample = SampleLog(seed: 2)
        for count in [0, 1, 15, 16, 17, 239, 240, 241, 1000, 65_537] {
            let bytes = (0..<count).map { _ in sample.next() % 3 == 0 ? UInt8(ascii: "\n") : UInt8(ascii: "x") }
            #expect(newlines(in: bytes) == bytes.count { $0 == UInt8(ascii: "\n") })
        }
        #expect(newlines(in: [UInt8](repeating: UInt8(ascii: "\n"), count: 100_000)) == 100_000)
    }

    private func compress(_ text: [UInt8]) -> [UInt8] {
        var member: [UInt8] = []
        text.withUnsafeBytes { gzip.compress($0, into: &member) }
        return member
    }

    private func inflate(_ member: [UInt8], capacity: Int) throws -> [UInt8] {
        var text = [UInt8](repeating: 0, count: max(1, capacity))
        let count = try text.withUnsafeMutableBytes { target in
            try member.withUnsafeBytes { source in try gzip.inflate(source, into: target) }
        }
        return Array(text[..<count])
    }
}
