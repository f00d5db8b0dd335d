import Storage

/// A writer that syncs a few bytes now and then leaves many small blocks. Whenever the last 32 are all
/// small, they become one: a log never has more blocks than one for each 32 KiB, and 32.
extension JobLog {
    private static let smallBlocks = 32
    private static let smallBytes: UInt64 = UInt64(JobLog.blockBytes / smallBlocks)
    private static let smallFragments = JobLog.blockFragments / smallBlocks

    /// Replaces the last blocks by one where they are many and small.
    ///
    /// A saving, and not what `sync` promised: where it fails, the blocks stay as they are, or as the
    /// replacement that was written down says when the log is opened again.
    func mergeSmallBlocks() {
        let blocks = index.blocks.suffix(Self.smallBlocks)
        guard blocks.count == Self.smallBlocks, blocks.startIndex >= firstMergeable, pending.isEmpty, tail.isEmpty,
            areMergeable(blocks)
        else { return }
        do throws(StorageError) {
            let merge = try merge(of: blocks)
            needsReload = true
            try files.replaceBlocks(merge, of: job, durability)
        } catch {
            firstMergeable = index.blocks.count
        }
    }

    private func areMergeable(_ blocks: ArraySlice<LogIndex.Block>) -> Bool {
        var end = blocks.first?.header.start
        for block in blocks {
            let header = block.header
            guard header.start == end, block.damageBefore == nil || block.offset == blocks.first?.offset,
                header.end.position - header.start.position < Self.smallBytes,
                header.fragments < Self.smallFragments
            else { return false }
            end = header.end
        }
        return true
    }

    private func merge(of blocks: ArraySlice<LogIndex.Block>) throws(StorageError) -> BlockMerge {
        guard let first = blocks.first else { throw .notFound }
        var whole = LogBlock(at: first.header.start)
        for block in blocks {
            whole.append(try codec.content(of: block, streams: Set(LogStream.allCases), in: self))
        }
        codec.forget(job)
        let stdout = member(of: .stdout, in: whole, at: first.header.stdout.offset)
        let stdoutBytes = codec.member
        let stderr = member(of: .stderr, in: whole, at: first.header.stderr.offset)
        let record = BlockHeader.record(of: whole, stdout: stdout, stderr: stderr).bytes
        return BlockMerge(
            offset: first.offset, record: record, stdout: stdout.compressed > 0 ? stdoutBytes : [],
            stderr: stderr.compressed > 0 ? codec.member : [])
    }
}
