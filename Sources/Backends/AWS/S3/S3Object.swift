import Backends
import Storage

/// What the index of an object says of a block: which part of its job's data it is, and where its bytes stand.
protocol ObjectHeader: Equatable, Sendable {
    /// With what objects of such blocks begin, and with what their trailers do: eight bytes each.
    static var magic: (object: [UInt8], trailer: [UInt8]) { get }
    /// Bytes of a header.
    static var size: Int { get }

    /// The place of the block's beginning: a position in a log, a sequence of samples.
    var start: LogCursor { get }
    /// The place of its end.
    var end: LogCursor { get }
    /// The earliest and the latest time in it.
    var times: ClosedRange<Int64> { get }
    /// The length of its text.
    var textLength: Int { get }
    /// Where its bytes stand in the object.
    var range: Range<UInt64> { get }

    /// This header, of a block whose bytes begin at `offset` of the object.
    func moved(to offset: UInt64) -> Self
    /// The header's bytes.
    func encoded() -> [UInt8]
    /// The header that `buffer` holds, of an object's block; nil where it is not one, or says what cannot be.
    static func decode(_ buffer: UnsafeRawBufferPointer) -> Self?
}

extension ObjectHeader {
    /// Whether a block stands before another in order of places; of two that begin together the longer one.
    func comesBefore(_ other: Self) -> Bool {
        start == other.start ? end > other.end : start < other.start
    }
}

/// An object that holds blocks of one or many jobs' data, and at its end an index of them.
///
/// Sixteen bytes of header; the blocks' bytes, one behind another; then the index, of each block its job's id and its
/// header, whose offsets count from the beginning of the object; and 32 bytes that say where the index is.
/// docs/storage.md has it byte by byte.
struct S3Object<Header: ObjectHeader> {
    /// A block and the job it belongs to.
    struct Entry: Equatable, Sendable {
        var job: JobID
        var header: Header
    }

    /// A block as bytes.
    struct Block: Sendable {
        var job: JobID
        /// Its offsets count from wherever the block stood last.
        var header: Header
        /// As they stand in an object.
        var bytes: [UInt8]
    }

    /// A block in an object.
    struct Stored: Sendable {
        var header: Header
        var key: String

        /// Bytes that the block takes, its entry in the index included.
        var size: UInt64 { UInt64(header.range.count) + UInt64(entrySize) }
    }

    static var headerSize: Int { 16 }
    static var entrySize: Int { 16 + Header.size }
    static var trailerSize: Int { 32 }

    /// The object's bytes and its index.
    static func encode(_ blocks: [Block]) -> (bytes: [UInt8], entries: [Entry]) {
        var bytes = Header.magic.object + [1, 0, 0, 0, 0, 0, 0, 0]
        bytes.reserveCapacity(blocks.reduce(256) { $0 + $1.bytes.count + entrySize })
        var entries: [Entry] = []
        for block in blocks {
            entries.append(Entry(job: block.job, header: block.header.moved(to: UInt64(bytes.count))))
            bytes += block.bytes
        }
        var index = ByteWriter(capacity: entries.count * entrySize)
        for entry in entries {
            index.write(entry.job.words.high.byteSwapped)
            index.write(entry.job.words.low.byteSwapped)
            index.write(entry.header.encoded())
        }
        var trailer = ByteWriter(capacity: trailerSize)
        trailer.write(Header.magic.trailer)
        trailer.write(UInt64(bytes.count))
        trailer.write(UInt32(entries.count))
        trailer.write(index.bytes.withUnsafeBytes { crc32($0) })
        trailer.write(trailer.bytes.withUnsafeBytes { crc32($0) })
        trailer.write(UInt32(0))
        return (bytes + index.bytes + trailer.bytes, entries)
    }

    /// What the end of an object says of its index: where it begins, and how many entries it has.
    struct Trailer: Equatable {
        var offset: UInt64
        var count: Int
        var crc: UInt32

        /// The bytes from the index to the object's end.
        var length: Int { count * entrySize + trailerSize }

        /// The trailer at the end of `bytes`; nil where there is none.
        init?(_ bytes: [UInt8]) {
            guard bytes.count >= trailerSize else { return nil }
            let end = Array(bytes.suffix(trailerSize))
            guard end.starts(with: Header.magic.trailer) else { return nil }
            let found = end.withUnsafeBytes { buffer -> (UInt64, UInt32, UInt32)? in
                var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[8...]))
                guard let offset: UInt64 = reader.read(), let count: UInt32 = reader.read(),
                    let crc: UInt32 = reader.read(), let check: UInt32 = reader.read(),
                    check == crc32(UnsafeRawBufferPointer(rebasing: buffer[..<24]))
                else { return nil }
                return (offset, count, crc)
            }
            guard let found, found.0 < 1 << 40, found.1 < 1 << 22 else { return nil }
            (offset, count, crc) = (found.0, Int(found.1), found.2)
        }

        /// The entries of the index, which the end of an object holds; nil where they are damaged.
        func entries(_ bytes: [UInt8]) -> [Entry]? {
            guard bytes.count >= length else { return nil }
            let index = Array(bytes.suffix(length).dropLast(trailerSize))
            return index.withUnsafeBytes { buffer -> [Entry]? in
                guard crc32(buffer) == crc else { return nil }
                var entries: [Entry] = []
                entries.reserveCapacity(count)
                for number in 0..<count {
                    let start = number * entrySize
                    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[start..<start + 16]))
                    let rest = buffer[(start + 16)..<(start + entrySize)]
                    guard let high: UInt64 = reader.read(), let low: UInt64 = reader.read(),
                        let header = Header.decode(UnsafeRawBufferPointer(rebasing: rest)),
                        header.range.lowerBound >= UInt64(headerSize), header.range.upperBound <= offset
                    else { return nil }
                    entries.append(Entry(job: JobID(high: high.byteSwapped, low: low.byteSwapped), header: header))
                }
                return entries
            }
        }
    }
}
