import Storage

extension JobLog {
    /// Replaces the last blocks by one where they are many and small.
    ///
    /// A saving, and not what `sync` promised: where it fails, the blocks stay as they are, or as the
    /// replacement that was written down says when the log is opened again.
    func mergeSmallBlocks() {
        guard let blocks = SmallBlocks.last(of: index.blocks), blocks.startIndex >= firstMergeable,
            pending.isEmpty, tail.isEmpty
        else { return }
        do throws(StorageError) {
            let merge = try merge(of: blocks)
            needsReload = true
            try files.replaceBlocks(merge, of: job, durability)
        } catch {
            firstMergeable = index.blocks.count
        }
    }

    private func merge(of blocks: ArraySlice<LogIndex.Block>) throws(StorageError) -> BlockMerge {
        guard let first = blocks.first else { throw .notFound }
        var block = codec.encode(try merged(blocks))
        block.move(stdout: first.header.stdout.offset, stderr: first.header.stderr.offset)
        return BlockMerge(offset: first.offset, record: block.record, stdout: block.stdout, stderr: block.stderr)
    }
}
