import Storage

/// A writer that syncs a few bytes now and then leaves many small blocks. Whenever the last 32 are all
/// small, they become one: a log never has more blocks than one for each 32 KiB, and 32.
enum SmallBlocks {
    private static let count = 32
    private static let bytes = UInt64(JobLog.blockBytes / count)
    private static let fragments = JobLog.blockFragments / count

    /// The last blocks where they are many, small and follow each other; nil otherwise.
    static func last(of blocks: [LogIndex.Block]) -> ArraySlice<LogIndex.Block>? {
        let last = blocks.suffix(count)
        guard last.count == count else { return nil }
        var end = last.first?.header.start
        for block in last {
            let header = block.header
            guard header.start == end, block.damageBefore == nil || block.offset == last.first?.offset,
                header.end.position - header.start.position < bytes, header.fragments < fragments
            else { return nil }
            end = header.end
        }
        return last
    }
}

extension BlockedLog {
    /// The content of blocks that follow each other, as one block.
    func merged(_ blocks: ArraySlice<LogIndex.Block>) throws(StorageError) -> LogBlock {
        guard let first = blocks.first else { throw .notFound }
        var whole = LogBlock(at: first.header.start)
        for block in blocks {
            whole.append(try codec.content(of: block, streams: Set(LogStream.allCases), in: self))
        }
        codec.forget(job)
        return whole
    }
}
