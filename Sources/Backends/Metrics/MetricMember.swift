package import Storage

/// What the header of one gzip member of samples says: where it ends, and what is in it.
///
/// An extra field (RFC 1952, 2.3.1.1) named `JM`; other programs skip it.
package struct MetricMember: Equatable, Sendable {
    /// Bytes of the header with its extra field.
    package static let headerSize = 60
    /// The longest member, and the longest text, that is believed.
    static let maximumLength: UInt32 = 64 << 20

    static let fixed: [UInt8] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]
    private static let subfield = [UInt8(ascii: "J"), UInt8(ascii: "M")]
    private static let version: UInt16 = 1

    /// Where it begins in its file or object.
    package var offset: UInt64
    /// Its length, header included.
    package var length: UInt32
    /// The length of its text.
    package var textLength: UInt32
    /// The sequence of its first sample.
    package var first: UInt64
    /// The number of its samples, one sequence after the other.
    package var count: UInt32
    /// The time of its first sample.
    package var earliest: Int64
    /// The time of its last sample.
    package var latest: Int64
    /// Whether this stands for a stretch of the file that cannot be read.
    var isDamaged = false

    /// The sequence after its last sample.
    package var end: UInt64 { first + UInt64(count) }

    /// The header's bytes.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.headerSize)
        writer.write(Self.fixed)
        writer.write(UInt16(Self.headerSize - Self.fixed.count - 2))
        writer.write(Self.subfield)
        writer.write(UInt16(Self.headerSize - Self.fixed.count - 6))
        writer.write(Self.version)
        writer.write(UInt16(0))
        writer.write(length)
        writer.write(textLength)
        writer.write(first)
        writer.write(count)
        writer.write(earliest)
        writer.write(latest)
        writer.write(writer.bytes.withUnsafeBytes { crc32($0) })
        return writer.bytes
    }

    /// The member whose header begins at `offset` of its file, the first byte of `bytes`; nil where none does.
    package static func decode(_ bytes: ArraySlice<UInt8>, at offset: UInt64) -> MetricMember? {
        guard bytes.count >= headerSize, bytes.starts(with: fixed) else { return nil }
        return bytes.prefix(headerSize).withUnsafeBytes { buffer -> MetricMember? in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[(fixed.count + 6)...]))
            guard reader.read(UInt16.self) == version, reader.read(UInt16.self) == 0,
                let length = reader.read(UInt32.self), let textLength = reader.read(UInt32.self),
                let first = reader.read(UInt64.self), let count = reader.read(UInt32.self),
                let earliest = reader.read(Int64.self), let latest = reader.read(Int64.self),
                let crc = reader.read(UInt32.self),
                crc == crc32(UnsafeRawBufferPointer(rebasing: buffer[..<(headerSize - 4)])),
                (UInt32(headerSize)...maximumLength).contains(length), textLength <= maximumLength, count > 0,
                !first.addingReportingOverflow(UInt64(count)).overflow
            else { return nil }
            return MetricMember(
                offset: offset, length: length, textLength: textLength, first: first, count: count,
                earliest: earliest, latest: latest)
        }
    }
}

extension MetricMember {
    /// The member that holds `text`, the lines of samples whose sequences follow each other, and its bytes.
    ///
    /// `buffer` is what the compressor writes to.
    package static func compress(
        _ text: [UInt8], first: UInt64, count: Int, earliest: Int64, latest: Int64, with gzip: borrowing Gzip,
        buffer: inout [UInt8]
    ) -> (member: MetricMember, bytes: [UInt8]) {
        text.withUnsafeBytes { gzip.compress($0, into: &buffer) }
        let length = buffer.count + headerSize - fixed.count
        let member = MetricMember(
            offset: 0, length: UInt32(length), textLength: UInt32(text.count), first: first, count: UInt32(count),
            earliest: earliest, latest: latest)
        return (member, member.encoded() + buffer[fixed.count...])
    }

    /// The text of the member that `bytes` are; nil where they are not the one that this header describes.
    package func text(of bytes: [UInt8], with gzip: borrowing Gzip) -> [UInt8]? {
        guard bytes.count == Int(length), MetricMember.decode(bytes[...], at: offset) == self else { return nil }
        // In the form that every inflater takes.
        var plain = Self.fixed
        plain[3] = 0
        plain += bytes.dropFirst(Self.headerSize)
        let count = Int(textLength)
        var text: [UInt8] = []
        text.append(addingCapacity: count) { span in
            span.withUnsafeMutableBufferPointer { buffer, initialized in
                let target = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
                let length = plain.withUnsafeBytes { source in
                    try? gzip.inflate(source, into: UnsafeMutableRawBufferPointer(target))
                }
                initialized = length == count ? count : 0
            }
        }
        return text.count == count ? text : nil
    }

    /// The samples of the member that `bytes` are; nil where they are not those that this header describes.
    package func samples(of bytes: [UInt8], with gzip: borrowing Gzip) -> [MetricSample]? {
        guard let text = text(of: bytes, with: gzip), let samples = try? MetricLines.samples(text),
            samples.count == Int(count), zip(samples, first...).allSatisfy({ $0.sequence == $1 })
        else { return nil }
        return samples
    }
}
