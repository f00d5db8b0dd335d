import Storage

/// What the header of one gzip member in a file of samples says: where it ends, and what is in it.
///
/// An extra field (RFC 1952, 2.3.1.1) named `JM`; other programs skip it.
struct MetricMember: Equatable {
    /// Bytes of the header with its extra field.
    static let headerSize = 60
    /// The longest member, and the longest text, that is believed.
    static let maximumLength: UInt32 = 64 << 20

    /// How much longer a member is than one without an extra field.
    static let growth = headerSize - fixed.count

    private static let fixed: [UInt8] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]
    private static let subfield = [UInt8(ascii: "J"), UInt8(ascii: "M")]
    private static let version: UInt16 = 1

    /// Where it begins in its file.
    var offset: UInt64
    /// Its length, header included.
    var length: UInt32
    /// The length of its text.
    var textLength: UInt32
    /// The sequence of its first sample.
    var first: UInt64
    /// The number of its samples, one sequence after the other.
    var count: UInt32
    /// The time of its first sample.
    var earliest: Int64
    /// The time of its last sample.
    var latest: Int64
    /// Whether this stands for a stretch of the file that cannot be read.
    var isDamaged = false

    /// The sequence after its last sample.
    var end: UInt64 { first + UInt64(count) }

    /// The bytes with this header in the place of that of `plain`, a member without an extra field.
    func encoded(_ plain: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.headerSize + plain.count)
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
        return writer.bytes + plain[Self.fixed.count...]
    }

    /// The member whose header begins at `offset` of its file, the first byte of `bytes`; nil where none does.
    static func decode(_ bytes: ArraySlice<UInt8>, at offset: UInt64) -> MetricMember? {
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

    /// The member in the form that every inflater takes, where `bytes` are the member as it stands in the file.
    static func plain(_ bytes: [UInt8]) -> [UInt8] {
        var fixed = fixed
        fixed[3] = 0
        return fixed + bytes.dropFirst(headerSize)
    }

    /// The members of a file and the stretches between them that are none, and the length up to which that is so.
    ///
    /// What follows the last whole member is not part of the file: a write that did not come to its end.
    static func table(_ bytes: [UInt8]) -> (members: [MetricMember], length: UInt64) {
        var members: [MetricMember] = []
        var offset = 0
        var length = 0
        while offset < bytes.count {
            guard let member = decode(bytes[offset...], at: UInt64(offset)),
                offset + Int(member.length) <= bytes.count
            else {
                // The next header that is whole, where the one here is damaged.
                offset = bytes[(offset + 1)...].firstIndex(of: fixed[0]) ?? bytes.count
                continue
            }
            if offset > length {
                let first = members.last?.end ?? 0
                members.append(
                    MetricMember(
                        offset: UInt64(length), length: UInt32(clamping: offset - length), textLength: 0, first: first,
                        count: UInt32(clamping: member.first > first ? member.first - first : 0),
                        earliest: member.earliest, latest: member.earliest, isDamaged: true))
            }
            members.append(member)
            offset += Int(member.length)
            length = offset
        }
        return (members, UInt64(length))
    }
}
