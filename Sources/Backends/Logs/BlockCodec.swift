import Storage

/// Compresses and inflates the members of one shard's logs, with buffers that stay.
///
/// Remembers the block that was inflated last: a reader whose pages are smaller than a block comes
/// back for the next part of it.
final class BlockCodec {
    /// The member that `compress` made.
    private(set) var member: [UInt8] = []

    private let gzip = Gzip()
    private var last: (job: JobID, offset: UInt64, streams: Set<LogStream>, block: LogBlock)?

    /// Makes one member of `text`.
    func compress(_ text: [UInt8]) {
        text.withUnsafeBytes { gzip.compress($0, into: &member) }
    }

    /// The content of a block, at least of `streams`.
    func content(
        of block: LogIndex.Block, streams: Set<LogStream>, in log: some BlockedLog
    ) throws(StorageError) -> LogBlock {
        if let last, last.job == log.job, last.offset == block.offset, last.streams.isSuperset(of: streams) {
            return last.block
        }
        last = nil
        let content = LogBlock(
            block.header, fragments: try log.fragments(of: block),
            stdout: streams.contains(.stdout) ? try text(of: .stdout, block, log) : [],
            stderr: streams.contains(.stderr) ? try text(of: .stderr, block, log) : [])
        last = (log.job, block.offset, streams, content)
        return content
    }

    /// Forgets what is remembered of a job whose files changed otherwise than by appending.
    func forget(_ job: JobID) {
        if last?.job == job { last = nil }
    }

    /// Makes the stored form of a block; its members begin at 0.
    func encode(_ block: LogBlock) -> StoredBlock {
        var members: [LogStream: (header: BlockHeader.Member, bytes: [UInt8])] = [:]
        for stream in LogStream.allCases {
            let header = member(of: block.bytes(of: stream), at: 0)
            members[stream] = (header, header.compressed > 0 ? member : [])
        }
        let stdout = members[.stdout] ?? (BlockHeader.Member(offset: 0), [])
        let stderr = members[.stderr] ?? (BlockHeader.Member(offset: 0), [])
        let record = BlockHeader.record(of: block, stdout: stdout.header, stderr: stderr.header)
        return StoredBlock(header: record.header, table: record.table, stdout: stdout.bytes, stderr: stderr.bytes)
    }

    /// Makes the member of a text, which is then in `member`, unless there is none.
    func member(of text: [UInt8], at offset: UInt64) -> BlockHeader.Member {
        var header = BlockHeader.Member(offset: offset)
        guard !text.isEmpty else { return header }
        compress(text)
        header.compressed = UInt32(member.count)
        header.length = UInt32(text.count)
        header.lines = UInt32(newlines(in: text))
        header.crc = member.withUnsafeBytes { crc32($0) }
        return header
    }

    private func text(
        of stream: LogStream, _ block: LogIndex.Block, _ log: some BlockedLog
    ) throws(StorageError) -> [UInt8] {
        let member = block.header.member(of: stream)
        guard member.length > 0 else { return [] }
        let compressed = try log.member(of: stream, in: block)
        guard compressed.count == Int(member.compressed), compressed.withUnsafeBytes({ crc32($0) }) == member.crc
        else { throw .corrupt(place: log.place(of: stream, in: block)) }
        var text: [UInt8] = []
        var isWhole = false
        text.append(addingCapacity: Int(member.length)) { span in
            span.withUnsafeMutableBufferPointer { buffer, initialized in
                let target = UnsafeMutableBufferPointer(rebasing: buffer[..<Int(member.length)])
                let length = compressed.withUnsafeBytes { source in
                    try? gzip.inflate(source, into: UnsafeMutableRawBufferPointer(target))
                }
                isWhole = length == Int(member.length)
                initialized = isWhole ? Int(member.length) : 0
            }
        }
        guard isWhole else { throw .corrupt(place: log.place(of: stream, in: block)) }
        return text
    }
}
