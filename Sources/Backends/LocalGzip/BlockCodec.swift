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
        of block: LogIndex.Block, streams: Set<LogStream>, in log: JobLog
    ) throws(StorageError) -> LogBlock {
        if let last, last.job == log.job, last.offset == block.offset, last.streams.isSuperset(of: streams) {
            return last.block
        }
        last = nil
        let content = LogBlock(
            block.header, fragments: try log.fragments(of: block),
            stdout: streams.contains(.stdout) ? try text(of: .stdout, block.header, log) : [],
            stderr: streams.contains(.stderr) ? try text(of: .stderr, block.header, log) : [])
        last = (log.job, block.offset, streams, content)
        return content
    }

    /// Forgets what is remembered of a job whose files changed otherwise than by appending.
    func forget(_ job: JobID) {
        if last?.job == job { last = nil }
    }

    private func text(
        of stream: LogStream, _ header: BlockHeader, _ log: JobLog
    ) throws(StorageError) -> [UInt8] {
        let member = header.member(of: stream)
        guard member.length > 0 else { return [] }
        let place = "\(log.files.dataName(of: stream)) at \(member.offset)"
        let compressed = try log.files.read(
            log.files.data(of: stream), at: member.offset, count: Int(member.compressed))
        guard compressed.count == Int(member.compressed), compressed.withUnsafeBytes({ crc32($0) }) == member.crc
        else { throw .corrupt(place: place) }
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
        guard isWhole else { throw .corrupt(place: place) }
        return text
    }
}
