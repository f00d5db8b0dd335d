import Backends
import Storage

/// An object that holds blocks of samples: members as local-gzip has them, one behind another.
typealias MetricObject = S3Object<MetricBlockHeader>

/// What the index of an object says of a member of samples: where it begins, and the member's own header.
struct MetricBlockHeader: ObjectHeader {
    static var magic: (object: [UInt8], trailer: [UInt8]) { (Array("jobletmo".utf8), Array("jobletme".utf8)) }
    static var size: Int { 8 + MetricMember.headerSize }

    var member: MetricMember

    var start: LogCursor { LogCursor(position: member.first) }
    var end: LogCursor { LogCursor(position: member.end) }
    var times: ClosedRange<Int64> { member.earliest...max(member.earliest, member.latest) }
    var textLength: Int { Int(member.textLength) }
    var range: Range<UInt64> { member.offset..<member.offset + UInt64(member.length) }

    func moved(to offset: UInt64) -> MetricBlockHeader {
        var header = self
        header.member.offset = offset
        return header
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.size)
        writer.write(member.offset)
        writer.write(member.encoded())
        return writer.bytes
    }

    static func decode(_ buffer: UnsafeRawBufferPointer) -> MetricBlockHeader? {
        var reader = ByteReader(buffer)
        guard buffer.count == size, let offset = reader.read(UInt64.self), offset < 1 << 40,
            let member = MetricMember.decode(Array(buffer[8...])[...], at: offset)
        else { return nil }
        return MetricBlockHeader(member: member)
    }
}

extension S3Object.Block where Header == MetricBlockHeader {
    /// Compresses lines of samples.
    init(_ lines: MetricText, of job: JobID, with gzip: borrowing Gzip) {
        var buffer: [UInt8] = []
        let (member, bytes) = MetricMember.compress(
            lines.text, first: lines.first, count: lines.count, earliest: lines.earliest, latest: lines.latest,
            with: gzip, buffer: &buffer)
        self.init(job: job, header: MetricBlockHeader(member: member), bytes: bytes)
    }

    /// The block's samples; nil where the bytes are not those that the header says.
    func content(with gzip: borrowing Gzip) -> [MetricSample]? { header.member.samples(of: bytes, with: gzip) }
}
