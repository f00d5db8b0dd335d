import Kernel
import Storage

/// The header of a file of samples in the outbox, 48 bytes, little-endian.
///
/// | bytes | content |
/// |---|---|
/// | 0–7 | `jobletms` |
/// | 8–9 | version of the format: 1 |
/// | 10–11 | 0 |
/// | 12–27 | job id, most significant byte first |
/// | 28–35 | sequence of the file's first sample |
/// | 36–43 | time of the sample before it; the least integer where there was none |
/// | 44–47 | CRC-32C of bytes 0–43 |
struct MetricFileHeader: Hashable {
    static let size = 48
    private static let magic = Array("jobletms".utf8)
    private static let version: UInt16 = 1

    let job: JobID
    let base: UInt64
    let time: Int64

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(MetricFileHeader.version)
        writer.write(UInt16(0))
        writer.write(job.words.high.byteSwapped)
        writer.write(job.words.low.byteSwapped)
        writer.write(base)
        writer.write(time)
        let bytes = MetricFileHeader.magic + writer.bytes
        var checksum = ByteWriter()
        checksum.write(Checksum.crc32c(bytes))
        return bytes + checksum.bytes
    }

    init(job: JobID, base: UInt64, time: Int64) {
        self.job = job
        self.base = base
        self.time = time
    }

    /// The header at the beginning of `bytes`; nil where none is.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= MetricFileHeader.size, bytes.starts(with: MetricFileHeader.magic) else { return nil }
        var reader = ByteReader(bytes[8..<MetricFileHeader.size])
        do throws(MalformedMessage) {
            let version = try reader.read(UInt16.self)
            let reserved = try reader.read(UInt16.self)
            job = JobID(
                high: try reader.read(UInt64.self).byteSwapped, low: try reader.read(UInt64.self).byteSwapped)
            base = try reader.read(UInt64.self)
            time = try reader.read(Int64.self)
            let sum = try reader.read(UInt32.self)
            guard version == MetricFileHeader.version, reserved == 0,
                sum == Checksum.crc32c(bytes[..<(MetricFileHeader.size - 4)])
            else { return nil }
        } catch {
            return nil
        }
    }
}

/// A sample as it lies in the outbox, in a record's frame: sequence, time, points.
///
/// A point is its type, its labels and its values; a list is its count and its elements, a text its length and its
/// bytes (each 32 bits), a value the 64 bits of the number.
enum MetricRecord {
    static func encode(_ sample: MetricSample) -> [UInt8] {
        var body = ByteWriter()
        body.write(sample.sequence)
        body.write(sample.time)
        body.write(list: sample.points) { writer, point in
            writer.write(point.type.rawValue)
            writer.write(list: point.labels.sorted { $0.key < $1.key }) { writer, label in
                writer.write(label.key)
                writer.write(label.value)
            }
            writer.write(list: point.values.sorted { $0.key < $1.key }) { writer, value in
                writer.write(value.key)
                writer.write(value.value.bitPattern)
            }
        }
        return RecordFrame.encode(body.bytes)
    }

    /// The sample at the beginning of `bytes` and the length of its record; nil where none is whole.
    static func decode(_ bytes: ArraySlice<UInt8>) -> (sample: MetricSample, length: Int)? {
        guard let (body, length) = RecordFrame.decode(bytes), let sample = sample(in: body) else { return nil }
        return (sample, length)
    }

    /// The first sample in `bytes` with at least that sequence, and where its record begins.
    static func first(in bytes: ArraySlice<UInt8>, from sequence: UInt64) -> (sample: MetricSample, start: Int)? {
        let start = RecordFrame.first(in: bytes) { body in sample(in: body).map { $0.sequence >= sequence } ?? false }
        guard let start, let (sample, _) = decode(bytes[start...]) else { return nil }
        return (sample, start)
    }

    private static func sample(in body: ArraySlice<UInt8>) -> MetricSample? {
        do throws(MalformedMessage) {
            var reader = ByteReader(body)
            let sequence = try reader.read(UInt64.self)
            let time = try reader.read(Int64.self)
            let points = try reader.readList(point)
            try reader.finish()
            return MetricSample(sequence: sequence, time: time, points: points)
        } catch {
            return nil
        }
    }

    private static func point(_ reader: inout ByteReader) throws(MalformedMessage) -> MetricPoint {
        guard let type = MetricType(rawValue: try reader.readString()) else { throw MalformedMessage("a metric type") }
        let labels = try reader.readList { (reader) throws(MalformedMessage) in
            (try reader.readString(), try reader.readString())
        }
        let values = try reader.readList { (reader) throws(MalformedMessage) in
            (try reader.readString(), Double(bitPattern: try reader.read(UInt64.self)))
        }
        return MetricPoint(
            type: type, labels: Dictionary(labels, uniquingKeysWith: { $1 }),
            values: Dictionary(values, uniquingKeysWith: { $1 }))
    }
}
