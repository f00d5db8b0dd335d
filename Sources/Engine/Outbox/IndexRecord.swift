import Kernel

/// One of a job's two output streams, by its number in the index.
public enum OutputStream: UInt8, Sendable, Hashable, CaseIterable {
    case stdout = 1
    case stderr = 2

    /// The stream's name in file names.
    public var name: String { self == .stdout ? "stdout" : "stderr" }
    var slot: Int { Int(rawValue) - 1 }
}

/// One entry of an outbox index: 32 bytes, little-endian, so that none crosses a page.
///
/// | bytes | content |
/// |---|---|
/// | 0–6 | position: bytes of both streams before this entry |
/// | 7 | kind: 1, 2 data of stdout, stderr; 3, 4 gap of stdout, stderr; 5 end of output |
/// | 8–15 | nanoseconds since 1970 |
/// | 16–23 | data: offset in its own stream; gap: bytes dropped; end: 0 |
/// | 24–27 | data: number of bytes; else 0 |
/// | 28–31 | CRC-32C of bytes 0–27 |
public struct IndexRecord: Sendable, Hashable {
    /// What the entry stands for.
    public enum Kind: Sendable, Hashable {
        /// Bytes of the stream, from that offset of it on.
        case data(OutputStream, offset: UInt64, count: UInt32)
        /// Bytes of the stream that were dropped at a limit.
        case gap(OutputStream, dropped: UInt64)
        /// No more output will come.
        case end
    }

    /// The size of an encoded entry.
    public static let size = 32
    static let positionLimit: UInt64 = 1 << 56

    /// The number of bytes of both streams before this entry.
    public var position: UInt64
    /// When it was read from the pipe: nanoseconds since 1970.
    public var time: Int64
    /// What it stands for.
    public var kind: Kind

    /// An entry with the given values.
    public init(position: UInt64, time: Int64, kind: Kind) {
        self.position = position
        self.time = time
        self.kind = kind
    }

    /// The position after the entry.
    public var end: UInt64 {
        if case .data(_, _, let count) = kind { position + UInt64(count) } else { position }
    }

    /// The 32 bytes of the entry.
    public var encoded: [UInt8] {
        let (code, third, count): (UInt8, UInt64, UInt32) =
            switch kind {
            case .data(let stream, let offset, let count): (stream.rawValue, offset, count)
            case .gap(let stream, let dropped): (stream.rawValue + 2, dropped, 0)
            case .end: (5, 0, 0)
            }
        var writer = ByteWriter()
        writer.write(position | UInt64(code) << 56)
        writer.write(time)
        writer.write(third)
        writer.write(count)
        writer.write(Checksum.crc32c(writer.bytes))
        return writer.bytes
    }

    /// The entry in 32 bytes; nil where they are no valid entry.
    public init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == IndexRecord.size else { return nil }
        var reader = ByteReader(bytes)
        guard let first = try? reader.read(UInt64.self), let time = try? reader.read(Int64.self),
            let third = try? reader.read(UInt64.self), let count = try? reader.read(UInt32.self),
            let sum = try? reader.read(UInt32.self), sum == Checksum.crc32c(bytes.prefix(28))
        else { return nil }
        let code = UInt8(first >> 56)
        position = first & (IndexRecord.positionLimit - 1)
        self.time = time
        switch code {
        case 1, 2:
            guard let stream = OutputStream(rawValue: code), count > 0 else { return nil }
            kind = .data(stream, offset: third, count: count)
        case 3, 4:
            guard let stream = OutputStream(rawValue: code - 2), third > 0 else { return nil }
            kind = .gap(stream, dropped: third)
        case 5: kind = .end
        default: return nil
        }
    }
}

/// The first 64 bytes of an index file.
///
/// | bytes | content |
/// |---|---|
/// | 0–7 | `JBOUTBOX` |
/// | 8–11 | format version, 1 |
/// | 12–15 | number of the segment |
/// | 16–31 | job id, as two 64-bit integers, high one first |
/// | 32–39 | no entry of the segment is older: nanoseconds since 1970 |
/// | 40–47 | offset in stdout at which it begins |
/// | 48–55 | offset in stderr at which it begins |
/// | 56–59 | reserved, 0 |
/// | 60–63 | CRC-32C of bytes 0–59 |
public struct SegmentHeader: Sendable, Hashable {
    /// The size of the encoded header.
    public static let size = 64
    private static let magic = Array("JBOUTBOX".utf8)
    private static let version: UInt32 = 1

    /// The number of the segment in its job's outbox, from 0.
    public var number: UInt32
    /// The job, as the two halves of its id.
    public var job: OutboxJob
    /// The time before which no entry lies: nanoseconds since 1970.
    public var time: Int64
    /// The offsets in stdout and stderr at which the segment begins.
    public var offsets: [UInt64]

    /// The position at which the segment begins.
    public var base: UInt64 { offsets[0] + offsets[1] }

    /// A header with the given values.
    public init(number: UInt32, job: OutboxJob, time: Int64, offsets: [UInt64]) {
        self.number = number
        self.job = job
        self.time = time
        self.offsets = offsets
    }

    /// The 64 bytes of the header.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        for byte in SegmentHeader.magic { writer.write(byte) }
        writer.write(SegmentHeader.version)
        writer.write(number)
        writer.write(job.high)
        writer.write(job.low)
        writer.write(time)
        writer.write(offsets[0])
        writer.write(offsets[1])
        writer.write(UInt32(0))
        writer.write(Checksum.crc32c(writer.bytes))
        return writer.bytes
    }

    /// The header in 64 bytes; nil where they are none of a version known here.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == SegmentHeader.size, bytes.starts(with: SegmentHeader.magic) else { return nil }
        var reader = ByteReader(bytes[8...])
        guard let version = try? reader.read(UInt32.self), version == SegmentHeader.version,
            let number = try? reader.read(UInt32.self), let high = try? reader.read(UInt64.self),
            let low = try? reader.read(UInt64.self), let time = try? reader.read(Int64.self),
            let stdout = try? reader.read(UInt64.self), let stderr = try? reader.read(UInt64.self),
            (try? reader.read(UInt32.self)) != nil, let sum = try? reader.read(UInt32.self),
            sum == Checksum.crc32c(bytes.prefix(60)), stdout < IndexRecord.positionLimit,
            stderr < IndexRecord.positionLimit
        else { return nil }
        self.number = number
        job = OutboxJob(high: high, low: low)
        self.time = time
        offsets = [stdout, stderr]
    }
}

/// A job in the outbox: the two halves of its UUID.
///
/// The outbox is written by the shim, which knows no storage types.
public struct OutboxJob: Sendable, Hashable {
    /// The first eight bytes of the UUID.
    public var high: UInt64
    /// The last eight bytes.
    public var low: UInt64

    /// The job with these halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The UUID in lower-case text: the name of the job's directory.
    public var directoryName: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.utf8.count) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16 & 0xffff, 4), hex(high & 0xffff, 4), hex(low >> 48, 4),
            hex(low & 0xffff_ffff_ffff, 12),
        ].joined(separator: "-")
    }

    /// The job whose directory is called `name`; nil for any other name.
    public init?(directoryName name: String) {
        let digits = name.utf8.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == 32, let text = String(validating: digits, as: UTF8.self),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
        guard directoryName == name else { return nil }
    }
}
