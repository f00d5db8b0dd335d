import Backends
public import Storage

extension S3LogStore {
    /// Writes what stays of the first object that is needed as a new one, and removes what is of no use any more.
    ///
    /// The new object is the commit: by its name everything before its end is given up. What could not be removed
    /// then is removed when the store is opened. Costs a PUT, and a GET of what is written anew; nothing where the
    /// log fits.
    public func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await trimmed(job) { () async throws(StorageError) in
            let log = try await existingSeries(of: job)
            let remainder = try await remainder(of: log, within: bytes)
            if let remainder, let first = remainder.first?.header, let last = remainder.last?.header {
                let trim = S3Catalogue.Trim(start: first.start.position, end: last.end)
                try await replaceBeginning(of: log, by: remainder, trim)
            }
            return log.storedBytes
        }
    }

    /// The blocks with which a log begins that takes at most `limit` bytes; nil where nothing can go.
    ///
    /// They are those that stand behind each other in one object, the first behind a note of what is gone.
    private func remainder(of log: S3Log, within limit: UInt64) async throws(StorageError) -> [LogObject.Block]? {
        let blocks = log.blocks
        guard log.storedBytes > limit, let last = blocks.last?.header, last.end.position > 0,
            blocks.count > 1 || last.start.position < last.end.position
        else { return nil }
        var size = FragmentTable.noteSize
        var first = blocks.count
        while first > 0, size + blocks[first - 1].size <= limit {
            first -= 1
            size += blocks[first].size
        }
        for index in first..<blocks.count {
            if let whole = try await wholeBlocks(from: index, in: blocks, of: log.job) { return whole }
        }
        if first == blocks.count, let newest = try await newest(of: blocks[first - 1], of: log.job, within: limit) {
            return [newest]
        }
        var note = LogObject.Block(
            LogBlock(noteOf: last.end.position, at: last.end.position, time: last.times.upperBound), of: log.job,
            with: gzip)
        // It takes the number of the last of the notes that stood there.
        let others = max(0, last.end.gaps - 1)
        note.header.start.gaps += others
        note.header.end.gaps += others
        return [note]
    }

    /// A block behind a note, and those that stand behind it in the same object; nil where it cannot take the note.
    private func wholeBlocks(
        from index: Int, in blocks: [LogObject.Stored], of job: JobID
    ) async throws(StorageError) -> [LogObject.Block]? {
        let header = blocks[index].header
        // A note in a block of notes alone would move those behind it; they go with what is lost.
        guard header.end.position > header.start.position else { return nil }
        var end = index + 1
        while end < blocks.count, blocks[end].key == blocks[index].key,
            blocks[end].header.range.lowerBound == blocks[end - 1].header.range.upperBound
        {
            end += 1
        }
        do throws(StorageError) {
            var stored = try await bytes(of: blocks[index..<end], of: job)
            guard let first = stored[0].behindNote() else { return nil }
            stored[0] = first
            return stored
        } catch .corrupt {
            return nil
        }
    }

    /// The newest part of a block, behind a note; nil where nothing fits or the block is damaged.
    private func newest(
        of block: LogObject.Stored, of job: JobID, within limit: UInt64
    ) async throws(StorageError) -> LogObject.Block? {
        do throws(StorageError) {
            let room = limit - min(limit, FragmentTable.noteSize)
            return try await load([block], of: job).first?.newest(within: room, of: block.size, since: 0) { part in
                let stored = LogObject.Block(part, of: job, with: gzip)
                return (stored, UInt64(stored.bytes.count + LogObject.entrySize))
            }
        } catch .corrupt {
            return nil
        }
    }
}

extension S3Object.Block where Header == BlockHeader {
    /// The block behind a note of everything before it; nil where its table is damaged.
    fileprivate func behindNote() -> LogObject.Block? {
        guard header.start.position > 0 else { return self }
        let table = bytes.prefix(Int(header.tableLength))
        guard let fragments = table.withUnsafeBytes({ FragmentTable.decode($0, of: header) }) else { return nil }
        var stored = StoredBlock(header: header, table: Array(table), stdout: [], stderr: [])
        stored.prepend(lost: header.start.position, to: fragments)
        return LogObject.Block(job: job, header: stored.header, bytes: stored.table + bytes.dropFirst(table.count))
    }
}
