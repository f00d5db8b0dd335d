import Storage

/// The blocks that a log shall have instead of those that it has: without its oldest part, or without what is
/// damaged. What is missing before a block is noted in it.
struct LogRewrite {
    /// A block of the new log.
    enum Block {
        /// As it is stored.
        case kept(LogIndex.Block)
        /// Made anew.
        case new(StoredBlock)
    }

    private(set) var blocks: [Block] = []
    /// Bytes that were in the old log and are not in the new one.
    private(set) var lostBytes: UInt64 = 0
    private var end: UInt64 = 0
    private var isBehindLoss: Bool

    /// Nothing yet; `isBehindLoss` says that the beginning of the old log is given up.
    init(isBehindLoss: Bool) {
        self.isBehindLoss = isBehindLoss
    }

    /// Gives up what follows, up to the next block that is added.
    mutating func lose() {
        isBehindLoss = true
    }

    /// Adds a block of the old log, behind a note where something is missing before it.
    mutating func add(_ block: LogIndex.Block, of log: some BlockedLog) throws(StorageError) {
        let header = block.header
        let lost = header.start.position - end
        if isBehindLoss, lost > 0 {
            // A note in a block of notes alone would move those behind it; they go with what is lost.
            guard header.end.position > header.start.position else { return }
            var stored = try log.stored(block)
            stored.prepend(lost: lost, to: try log.fragments(of: block))
            blocks.append(.new(stored))
            lostBytes += lost
        } else {
            blocks.append(.kept(block))
        }
        isBehindLoss = false
        end = header.end.position
    }

    /// Adds the newest part of a block of the old log, which begins with a note of what is missing before it.
    mutating func add(newest stored: StoredBlock) {
        blocks.append(.new(stored))
        lostBytes += stored.header.start.position - end
        end = stored.header.end.position
        isBehindLoss = false
    }

    /// Ends with a note where the old log reached further, to `position`.
    mutating func close(at position: UInt64, time: Int64, by codec: BlockCodec) {
        guard position > end else { return }
        let note = LogBlock(noteOf: position - end, at: position, time: time)
        blocks.append(.new(codec.encode(note)))
        lostBytes += position - end
        end = position
    }
}

extension LogBlock {
    /// A stretch that says only that bytes before `position` are lost.
    package init(noteOf lost: UInt64, at position: UInt64, time: Int64) {
        var run = FragmentRun(start: position)
        run.appendGap(stream: .stdout, time: time, dropped: lost)
        self.init(run)
    }

    /// A stretch of everything in a run.
    init(_ run: FragmentRun) {
        self.init(at: LogCursor(position: run.start))
        var place = RunPlace()
        run.bytes.withUnsafeBytes { take(&place, of: run, $0, maxBytes: .max, maxFragments: .max) }
    }

    /// As much of the end as takes at most `limit` bytes in the form that `encode` makes of it; nil where that is
    /// nothing. All of the block takes `size` bytes.
    ///
    /// Before it stands a note of what is missing since position `place`.
    package func newest<Form>(
        within limit: UInt64, of size: UInt64, since place: UInt64, _ encode: (LogBlock) -> (form: Form, size: UInt64)
    ) -> Form? {
        // As if every byte took the same room; less where that is too much.
        let share = Double(limit) / Double(size)
        var count = Int(Double(byteCount) * min(1, share))
        while count > 0 {
            let attempt = encode(newest(count, lost: end.position - UInt64(count) - place))
            if attempt.size <= limit { return attempt.form }
            count = count * 3 / 4
        }
        return nil
    }

    /// The last `count` bytes, behind a note of `lost` bytes.
    private func newest(_ count: Int, lost: UInt64) -> LogBlock {
        let position = end.position - UInt64(count)
        let rest = fragments.drop { $0.end <= position }
        guard let first = rest.first else { return LogBlock(noteOf: lost, at: position, time: times?.upperBound ?? 0) }
        var run = FragmentRun(start: position, capacity: count)
        run.appendGap(stream: .stdout, time: first.time, dropped: lost)
        var offsets = [LogStream.stdout: 0, .stderr: 0]
        for fragment in fragments {
            let offset = offsets[fragment.stream, default: 0]
            offsets[fragment.stream] = offset + fragment.count
            guard fragment.end > position else { continue }
            switch fragment.content {
            case .dropped(let bytes): run.appendGap(stream: fragment.stream, time: fragment.time, dropped: bytes)
            case .bytes:
                let skip = fragment.position < position ? Int(position - fragment.position) : 0
                let source = bytes(of: fragment.stream)[offset + skip..<offset + fragment.count]
                run.append(stream: fragment.stream, time: fragment.time, bytes: source)
            }
        }
        return LogBlock(run)
    }
}

extension BlockedLog {
    /// What the log becomes when its oldest part goes until the rest takes at most `limit` bytes; nil where it fits.
    ///
    /// Whole blocks go. Where not even the newest fits, its newest part stays.
    func trimmed(to limit: UInt64) throws(StorageError) -> LogRewrite? {
        guard storedBytes > limit, let last = blocks.last else { return nil }
        var size = storedBytes - blocks.reduce(0) { $0 + $1.header.size } + FragmentTable.noteSize
        var first = blocks.count
        while first > 0, size + blocks[first - 1].header.size <= limit {
            first -= 1
            size += blocks[first].header.size
        }
        var rewrite = LogRewrite(isBehindLoss: true)
        if first == blocks.count {
            try rewrite.add(newestOf: last, of: self, within: limit - min(limit, size))
        } else {
            for block in blocks[first...] {
                if block.damageBefore != nil { rewrite.lose() }
                do throws(StorageError) {
                    try rewrite.add(block, of: self)
                } catch .corrupt {
                    rewrite.lose()
                }
            }
        }
        rewrite.close(at: end, time: last.header.times.upperBound, by: codec)
        return rewrite
    }

    /// What the log becomes without its damaged blocks; nil where none is.
    func repaired() throws(StorageError) -> LogRewrite? {
        var rewrite = LogRewrite(isBehindLoss: false)
        var isDamaged = damageAtEnd != nil
        for block in blocks {
            if block.damageBefore != nil {
                isDamaged = true
                rewrite.lose()
            }
            do throws(StorageError) {
                _ = try codec.content(of: block, streams: Set(LogStream.allCases), in: self)
                try rewrite.add(block, of: self)
            } catch .corrupt {
                isDamaged = true
                rewrite.lose()
            }
        }
        guard isDamaged else { return nil }
        rewrite.close(at: end, time: blocks.last?.header.times.upperBound ?? 0, by: codec)
        return rewrite
    }
}

extension LogRewrite {
    /// Adds as much of the end of a block as takes at most `limit` bytes; nothing where it is damaged.
    fileprivate mutating func add(
        newestOf last: LogIndex.Block, of log: some BlockedLog, within limit: UInt64
    ) throws(StorageError) {
        let content: LogBlock
        do throws(StorageError) {
            content = try log.codec.content(of: last, streams: Set(LogStream.allCases), in: log)
        } catch .corrupt {
            return
        }
        let newest = content.newest(within: limit, of: last.header.size, since: end) { block in
            let stored = log.codec.encode(block)
            return (stored, stored.size)
        }
        if let newest { add(newest: newest) }
    }
}

extension BlockHeader {
    /// Bytes that the block takes.
    var size: UInt64 { recordLength + UInt64(stdout.compressed) + UInt64(stderr.compressed) }
}
