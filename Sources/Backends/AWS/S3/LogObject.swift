import Backends
import Storage

/// An object that holds blocks of logs: of each its fragment table, its member of stdout and its member of stderr, one
/// behind another.
typealias LogObject = S3Object<BlockHeader>

extension BlockHeader: ObjectHeader {
    static var magic: (object: [UInt8], trailer: [UInt8]) { (Array("jobletlo".utf8), Array("jobletle".utf8)) }

    var textLength: Int { Int(end.position - start.position) }
    var range: Range<UInt64> { (stdout.offset - UInt64(tableLength))..<stderr.end }

    func moved(to offset: UInt64) -> BlockHeader {
        var header = self
        header.stdout.offset = offset + UInt64(tableLength)
        header.stderr.offset = header.stdout.end
        return header
    }

    static func decode(_ buffer: UnsafeRawBufferPointer) -> BlockHeader? {
        guard let header = BlockHeader(buffer), header.stdout.offset >= UInt64(header.tableLength),
            header.stderr.offset == header.stdout.end
        else { return nil }
        return header
    }
}
extension S3Object.Block where Header == BlockHeader {
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
