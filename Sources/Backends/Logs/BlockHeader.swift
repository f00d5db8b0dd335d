import Storage

/// The fixed part of a block's record in an index: where its members are and what they hold.
///
/// The record is also the commit of both members: it is written after them and counts only whole.
struct BlockHeader: Equatable {
    /// The bytes of one stream in a block, as one gzip member.
    struct Member: Equatable {
        /// Where the member begins in its file.
        var offset: UInt64
        /// The member's length; 0 where the block has nothing of the stream.
        var compressed: UInt32 = 0
        /// The length of its text.
        var length: UInt32 = 0
        /// Newline characters in its text.
        var lines: UInt32 = 0
        /// The CRC-32 of the member as it stands in the file.
        var crc: UInt32 = 0

        /// The length of the file with this commit.
        var end: UInt64 { offset + UInt64(compressed) }
    }

    /// The place before the block's first fragment.
    var start: LogCursor
    /// The place after its last one.
    var end: LogCursor
    /// The earliest and the latest time.
    var times: ClosedRange<Int64>
    /// Fragments and gap notes in the table.
    var fragments: UInt32
    /// Whether fragments or notes of the streams are in the table.
    var hasStdout: Bool
    var hasStderr: Bool
    /// The members.
    var stdout: Member
    var stderr: Member
    /// The length and the CRC-32 of the fragment table that follows the header.
    var tableLength: UInt32 = 0
    var tableCRC: UInt32 = 0

    /// Bytes of a header.
    static let size = 112
    /// How a header begins: `JLB1`.
    static let magic: [UInt8] = [0x4a, 0x4c, 0x42, 0x31]
    /// The most bytes of a member's text and of a table: bounds what a reader allocates.
    static let largest: UInt32 = 1 << 26

    /// The length of the record, table included.
    var recordLength: UInt64 { UInt64(Self.size) + UInt64(tableLength) }

    /// A stream's member.
    func member(of stream: LogStream) -> Member {
        stream == .stdout ? stdout : stderr
    }

    /// The record of a block whose members are known: its header and its fragment table.
    static func record(of block: LogBlock, stdout: Member, stderr: Member) -> (header: BlockHeader, table: [UInt8]) {
        let times = block.times ?? 0...0
        let table = FragmentTable.encode(block.fragments, earliest: times.lowerBound)
        let header = BlockHeader(
            start: block.start, end: block.end, times: times, fragments: UInt32(block.fragments.count),
            hasStdout: block.fragments.contains { $0.stream == .stdout },
            hasStderr: block.fragments.contains { $0.stream == .stderr }, stdout: stdout, stderr: stderr,
            tableLength: UInt32(table.count), tableCRC: table.withUnsafeBytes { crc32($0) })
        return (header, table)
    }

    /// The header's bytes.
    func encoded() -> [UInt8] {
        var body = ByteWriter(capacity: Self.size)
        body.write(tableLength)
        body.write(tableCRC)
        body.write(start.position)
        body.write(end.position)
        body.write(times.lowerBound)
        body.write(times.upperBound)
        body.write(fragments)
        body.write(UInt32(start.gaps))
        body.write(UInt32(end.gaps))
        body.write(UInt32(hasStdout ? 1 : 0) | UInt32(hasStderr ? 2 : 0))
        for member in [stdout, stderr] {
            body.write(member.offset)
            body.write(member.compressed)
            body.write(member.length)
            body.write(member.lines)
            body.write(member.crc)
        }
        var header = ByteWriter(capacity: Self.size)
        header.write(Self.magic)
        header.write(body.bytes.withUnsafeBytes { crc32($0) })
        header.write(body.bytes)
        return header.bytes
    }
}

extension BlockHeader {
    /// The header that `buffer` holds; nil where it is not one, or says what cannot be.
    init?(_ buffer: UnsafeRawBufferPointer) {
        guard buffer.count == Self.size, buffer.prefix(4).elementsEqual(Self.magic) else { return nil }
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[4...]))
        guard let crc = reader.read(UInt32.self),
            crc == crc32(UnsafeRawBufferPointer(rebasing: buffer[8...])),
            let tableLength = reader.read(UInt32.self), tableLength <= Self.largest,
            let tableCRC = reader.read(UInt32.self),
            let start = reader.read(UInt64.self), let end = reader.read(UInt64.self),
            let earliest = reader.read(Int64.self), let latest = reader.read(Int64.self), earliest <= latest,
            let fragments = reader.read(UInt32.self), fragments > 0, fragments <= tableLength,
            let notesBefore = reader.read(UInt32.self), let notesAtEnd = reader.read(UInt32.self),
            let streams = reader.read(UInt32.self),
            let stdout = Member(&reader), let stderr = Member(&reader),
            // Positions and file sizes stay below what a file offset can say.
            start <= end, end < 1 << 62, end - start == UInt64(stdout.length) + UInt64(stderr.length)
        else { return nil }
        self.init(
            start: LogCursor(position: start, gaps: Int(notesBefore)),
            end: LogCursor(position: end, gaps: Int(notesAtEnd)),
            times: earliest...latest, fragments: fragments, hasStdout: streams & 1 != 0, hasStderr: streams & 2 != 0,
            stdout: stdout, stderr: stderr, tableLength: tableLength, tableCRC: tableCRC)
    }

    /// Whether this block can follow one that ended at `place`, with files of these lengths.
    func follows(_ place: LogCursor, stdout: UInt64, stderr: UInt64) -> Bool {
        start >= place && end > start && self.stdout.offset >= stdout && self.stderr.offset >= stderr
    }
}

extension BlockHeader.Member {
    fileprivate init?(_ reader: inout ByteReader) {
        guard let offset = reader.read(UInt64.self), offset < 1 << 62,
            let compressed = reader.read(UInt32.self), compressed <= 2 * BlockHeader.largest,
            let length = reader.read(UInt32.self), length <= BlockHeader.largest,
            let lines = reader.read(UInt32.self), lines <= length, let crc = reader.read(UInt32.self),
            (compressed == 0) == (length == 0)
        else { return nil }
        self.init(offset: offset, compressed: compressed, length: length, lines: lines, crc: crc)
    }
}
