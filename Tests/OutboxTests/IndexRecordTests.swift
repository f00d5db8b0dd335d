import Kernel
import Outbox
import TestSupport
import Testing

struct IndexRecordTests {
    private static let records: [(IndexRecord, String)] = [
        (
            IndexRecord(
                position: 0x01_0203, time: 1_700_000_000_123_456_789, kind: .data(.stdout, offset: 0x0102, count: 5)),
            "030201000000000115cd853dfe9c97170201000000000000050000002c463d96"
        ),
        (
            IndexRecord(position: 7, time: -1, kind: .data(.stderr, offset: 3, count: .max)),
            "0700000000000002ffffffffffffffff0300000000000000ffffffff90123e97"
        ),
        (
            IndexRecord(position: 9, time: 5, kind: .gap(.stderr, dropped: 6)),
            "09000000000000040500000000000000060000000000000000000000959e6c2e"
        ),
        (
            IndexRecord(position: 10, time: 11, kind: .end),
            "0a000000000000050b00000000000000000000000000000000000000e20aeb6b"
        ),
    ]

    @Test("the checksum is CRC-32C") func checksum() {
        #expect(Checksum.crc32c(Array("123456789".utf8)) == 0xe306_9283)
    }

    @Test("an entry has the bytes that the format says", arguments: records)
    func golden(_ record: IndexRecord, _ bytes: String) {
        #expect(hex(record.encoded) == bytes)
        #expect(IndexRecord(record.encoded[...]) == record)
    }

    @Test("an entry with any bit flipped is no entry", arguments: records.map(\.0))
    func bitFlips(_ record: IndexRecord) {
        for bit in 0..<IndexRecord.size * 8 {
            var bytes = record.encoded
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(IndexRecord(bytes[...]) == nil)
        }
    }

    @Test("an entry of no bytes, an unknown kind or a wrong size is no entry")
    func invalid() {
        func sealed(_ kind: UInt8, third: UInt64, count: UInt32) -> [UInt8] {
            var writer = ByteWriter()
            writer.write(UInt64(kind) << 56)
            writer.write(Int64(1))
            writer.write(third)
            writer.write(count)
            writer.write(Checksum.crc32c(writer.bytes))
            return writer.bytes
        }
        #expect(IndexRecord(sealed(1, third: 0, count: 1)[...]) != nil)
        #expect(IndexRecord(sealed(1, third: 0, count: 0)[...]) == nil)
        #expect(IndexRecord(sealed(3, third: 0, count: 0)[...]) == nil)
        for kind: UInt8 in [0, 6, 255] { #expect(IndexRecord(sealed(kind, third: 1, count: 1)[...]) == nil) }
        #expect(IndexRecord(sealed(1, third: 0, count: 1).dropLast()) == nil)
        #expect(IndexRecord([]) == nil)
        #expect(IndexRecord([UInt8](repeating: 0, count: 32)[...]) == nil)
    }

    @Test("random entries come back as they were", arguments: 0..<8)
    func roundTrip(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let stream = OutputStream.allCases.randomElement(using: &random) ?? .stdout
            let kind: IndexRecord.Kind =
                switch random.next() % 3 {
                case 0: .data(stream, offset: random.next(), count: .random(in: 1...UInt32.max, using: &random))
                case 1: .gap(stream, dropped: .random(in: 1...UInt64.max, using: &random))
                default: .end
                }
            let record = IndexRecord(
                position: random.next() >> 8, time: Int64(bitPattern: random.next()), kind: kind)
            #expect(IndexRecord(record.encoded[...]) == record)
        }
    }

    // MARK: Headers

    private static let header = SegmentHeader(
        number: 3, job: OutboxJob(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff),
        time: 1_700_000_000_123_456_789, offsets: [4096, 17])

    @Test("a header has the bytes that the format says") func goldenHeader() {
        let header = IndexRecordTests.header
        #expect(
            hex(header.encoded)
                == "4a424f5554424f5801000000030000007766554433221100ffeeddccbbaa9988"
                + "15cd853dfe9c97170010000000000000110000000000000000000000c9589201")
        #expect(SegmentHeader(header.encoded) == header)
        #expect(header.base == 4113)
    }

    @Test("a header with any bit flipped, or of another size, is no header") func headerBitFlips() {
        for bit in 0..<SegmentHeader.size * 8 {
            var bytes = IndexRecordTests.header.encoded
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(SegmentHeader(bytes) == nil)
        }
        #expect(SegmentHeader(IndexRecordTests.header.encoded.dropLast()) == nil)
        #expect(SegmentHeader(IndexRecordTests.header.encoded + [0]) == nil)
    }

    // MARK: Names

    @Test("a job's directory is its UUID", arguments: [
        (OutboxJob(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff), "00112233-4455-6677-8899-aabbccddeeff"),
        (OutboxJob(high: 0, low: 1), "00000000-0000-0000-0000-000000000001"),
        (OutboxJob(high: .max, low: .max), "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ])
    func directoryName(_ job: OutboxJob, _ name: String) {
        #expect(job.directoryName == name)
        #expect(OutboxJob(directoryName: name) == job)
    }

    @Test("any other name is no job's", arguments: [
        "", ".", "..", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-AABBCCDDEEFF",
        "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeffa",
        "0011223-34455-6677-8899-aabbccddeeff", "+0112233-4455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeefg", "../00112233-4455-6677-8899-aabbccddeeff",
    ])
    func otherNames(_ name: String) {
        #expect(OutboxJob(directoryName: name) == nil)
    }
}
