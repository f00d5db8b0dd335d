import Backends
import Storage

/// An object that holds blocks of one or many jobs' logs, and at its end an index of them.
///
/// Sixteen bytes of header; of each block its fragment table, its member of stdout and its member of stderr, one
/// behind another; then the index, 128 bytes a block (the job's id and the block's header, whose offsets count from
/// the beginning of the object), and 32 bytes that say where the index is. docs/storage.md has it byte by byte.
struct LogObject {
    /// A block and the job it belongs to.
    struct Entry: Equatable, Sendable {
        var job: JobID
        var header: BlockHeader
    }

    /// A block as bytes.
    struct Block: Sendable {
        var job: JobID
        /// Its offsets count from wherever the block stood last.
        var header: BlockHeader
        /// The table and both members.
        var bytes: [UInt8]
    }

    static let headerSize = 16
    static let entrySize = 16 + BlockHeader.size
    static let trailerSize = 32
    private static let magic = Array("jobletlo".utf8)
    private static let endMagic = Array("jobletle".utf8)

    /// The object's bytes and its index.
    static func encode(_ blocks: [Block]) -> (bytes: [UInt8], entries: [Entry]) {
        var bytes = magic + [1, 0, 0, 0, 0, 0, 0, 0]
        bytes.reserveCapacity(blocks.reduce(256) { $0 + $1.bytes.count + entrySize })
        var entries: [Entry] = []
        for block in blocks {
            var header = block.header
            header.stdout.offset = UInt64(bytes.count) + UInt64(header.tableLength)
            header.stderr.offset = header.stdout.end
            bytes += block.bytes
            entries.append(Entry(job: block.job, header: header))
        }
        var index = ByteWriter(capacity: entries.count * entrySize)
        for entry in entries {
            index.write(entry.job.words.high.byteSwapped)
            index.write(entry.job.words.low.byteSwapped)
            index.write(entry.header.encoded())
        }
        var trailer = ByteWriter(capacity: trailerSize)
        trailer.write(endMagic)
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
        var length: Int { count * LogObject.entrySize + LogObject.trailerSize }

        /// The trailer at the end of `bytes`; nil where there is none.
        init?(_ bytes: [UInt8]) {
            guard bytes.count >= LogObject.trailerSize else { return nil }
            let end = Array(bytes.suffix(LogObject.trailerSize))
            guard end.starts(with: LogObject.endMagic) else { return nil }
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
            let index = Array(bytes.suffix(length).dropLast(LogObject.trailerSize))
            return index.withUnsafeBytes { buffer -> [Entry]? in
                guard crc32(buffer) == crc else { return nil }
                var entries: [Entry] = []
                entries.reserveCapacity(count)
                for number in 0..<count {
                    let start = number * LogObject.entrySize
                    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[start..<start + 16]))
                    let rest = buffer[(start + 16)..<(start + LogObject.entrySize)]
                    guard let high: UInt64 = reader.read(), let low: UInt64 = reader.read(),
                        let header = BlockHeader(UnsafeRawBufferPointer(rebasing: rest)),
                        header.stdout.offset >= UInt64(header.tableLength) + UInt64(LogObject.headerSize),
                        header.stderr.offset == header.stdout.end, header.stderr.end <= offset
                    else { return nil }
                    entries.append(Entry(job: JobID(high: high.byteSwapped, low: low.byteSwapped), header: header))
                }
                return entries
            }
        }
    }
}

extension BlockHeader {
    /// Where a block's bytes stand in its object.
    var range: Range<UInt64> { (stdout.offset - UInt64(tableLength))..<stderr.end }
}

extension LogObject.Block {
    /// Compresses a block.
    init(_ block: LogBlock, of job: JobID, with gzip: borrowing Gzip) {
        self.job = job
        var members: [UInt8] = []
        var compressed: [UInt8] = []
        func member(_ text: [UInt8]) -> BlockHeader.Member {
            guard !text.isEmpty else { return BlockHeader.Member(offset: 0) }
            text.withUnsafeBytes { gzip.compress($0, into: &compressed) }
            members += compressed
            return BlockHeader.Member(
                offset: 0, compressed: UInt32(compressed.count), length: UInt32(text.count),
                lines: UInt32(newlines(in: text)), crc: compressed.withUnsafeBytes { crc32($0) })
        }
        let stdout = member(block.stdout)
        let stderr = member(block.stderr)
        let record = BlockHeader.record(of: block, stdout: stdout, stderr: stderr)
        header = record.header
        bytes = record.table + members
    }

    /// The block's content; nil where the bytes are not those that the header says.
    func content(with gzip: borrowing Gzip) -> LogBlock? {
        let table = Int(header.tableLength)
        let stdoutEnd = table + Int(header.stdout.compressed)
        guard bytes.count == stdoutEnd + Int(header.stderr.compressed) else { return nil }
        let fragments = bytes[..<table].withUnsafeBytes { FragmentTable.decode($0, of: header) }
        guard let fragments, let stdout = Self.text(bytes[table..<stdoutEnd], header.stdout, gzip),
            let stderr = Self.text(bytes[stdoutEnd...], header.stderr, gzip)
        else { return nil }
        return LogBlock(header, fragments: fragments, stdout: stdout, stderr: stderr)
    }

    private static func text(
        _ source: ArraySlice<UInt8>, _ member: BlockHeader.Member, _ gzip: borrowing Gzip
    ) -> [UInt8]? {
        guard member.length > 0 else { return [] }
        guard source.withUnsafeBytes({ crc32($0) }) == member.crc else { return nil }
        var text = [UInt8](repeating: 0, count: Int(member.length))
        let length = source.withUnsafeBytes { source in
            text.withUnsafeMutableBytes { target in try? gzip.inflate(source, into: target) }
        }
        return length == Int(member.length) ? text : nil
    }
}
