import Storage

/// One job's log: the committed blocks in its files and the open tail in memory.
///
/// Belongs to one shard and runs on its thread. No file stays open between two calls: each opens what
/// it needs, so that any number of logs costs no descriptors, and a directory that was deleted by hand
/// is noticed rather than written to unseen.
final class JobLog: BlockedLog {
    /// The most bytes and fragments of a block.
    static let blockBytes = 1 << 20
    static let blockFragments = 1 << 15

    let job: JobID
    let files: LogFiles
    let durability: Durability
    let codec: BlockCodec

    var index = LogIndex()
    /// The records of blocks whose members are written but may not be named on disk yet.
    var pending: [UInt8] = []
    /// What was appended behind the last block.
    var tail = LogBlock(at: .start)

    /// The index file as it was read or last written; nil while there is none.
    private var identity: File.Identity?
    /// Whether the files are there, with a whole header in the index.
    private(set) var hasFiles = false
    /// Whether the files changed otherwise than `index` says.
    var needsReload = false
    /// The first block that may become part of a larger one.
    var firstMergeable = 0
    /// Whether what a crash left behind the last commit is cut.
    private var isRepaired = false
    /// The gap notes at the end of the blocks.
    private var committedNotes: [Fragment] = []
    /// Whether the files hold what is not durable although the store promises it, and whether the
    /// directories do.
    private var isUnsynced = false
    private var isDirectoryUnsynced = false

    init(job: JobID, files: LogFiles, durability: Durability, codec: BlockCodec) {
        self.job = job
        self.files = files
        self.durability = durability
        self.codec = codec
    }

    var blocks: [LogIndex.Block] { index.blocks }
    var damageAtEnd: UInt64? { index.damageAtEnd }

    var storedBytes: UInt64 {
        guard !index.blocks.isEmpty else { return 0 }
        return index.length - UInt64(pending.count) + index.fileLength(of: .stdout) + index.fileLength(of: .stderr)
    }

    func table(of block: LogIndex.Block) throws(StorageError) -> [UInt8] {
        let offset = block.offset + UInt64(BlockHeader.size)
        let count = Int(block.header.tableLength)
        let written = index.length - UInt64(pending.count)
        guard block.offset >= written else { return try files.read(files.index, at: offset, count: count) }
        let first = Int(offset - written)
        return Array(pending[first..<first + count])
    }

    func member(of stream: LogStream, in block: LogIndex.Block) throws(StorageError) -> [UInt8] {
        let member = block.header.member(of: stream)
        guard member.compressed > 0 else { return [] }
        return try files.read(files.data(of: stream), at: member.offset, count: Int(member.compressed))
    }

    func place(of offset: UInt64) -> String { "\(files.indexName) at \(offset)" }

    func place(of stream: LogStream, in block: LogIndex.Block) -> String {
        "\(files.dataName(of: stream)) at \(block.header.member(of: stream).offset)"
    }

    /// Whether nothing would be lost by forgetting this value.
    var isClean: Bool { tail.isEmpty && pending.isEmpty && !isUnsynced }

    /// Reads the index where it is not the one that is known: at first, and after it was deleted or
    /// replaced by hand, which also ends what is in memory.
    func refresh() throws(StorageError) {
        let found = try File.identity(of: files.index)
        guard found != identity || needsReload else { return }
        try reload()
    }

    func reload() throws(StorageError) {
        needsReload = true
        try files.finishMerge(of: job, durability)
        try files.finishReplacement(durability)
        let found = try File.identity(of: files.index)
        let index = try files.loadIndex(of: job)
        needsReload = false
        firstMergeable = 0
        self.index = index ?? LogIndex()
        hasFiles = index != nil
        identity = found
        isRepaired = false
        pending = []
        tail = LogBlock(at: self.index.end)
        committedNotes = []
        isUnsynced = false
        isDirectoryUnsynced = false
        codec.forget(job)
    }

    /// Appends what is new of a run.
    func append(_ run: FragmentRun) throws(StorageError) {
        try repair()
        let news = try run.unknown(toLogEndingAt: end, notes: notesAtEnd)
        try news.bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            var place = RunPlace()
            while place.index < news.fragments.count {
                // Sealed before bytes come rather than after: where that fails, they were not stored.
                if isTailFull { try seal() }
                tail.take(
                    &place, of: news, UnsafeRawBufferPointer(bytes), maxBytes: Self.blockBytes,
                    maxFragments: Self.blockFragments)
            }
        }
    }

    /// Goes on at `position`, with a note of the bytes before it that are lost.
    func skip(to position: UInt64, time: Int64) throws(StorageError) {
        try repair()
        guard position > end else { return }
        let lost = position - end
        try seal()
        tail = LogBlock(at: LogCursor(position: position))
        var run = FragmentRun(start: position)
        run.appendGap(stream: .stdout, time: time, dropped: lost)
        try append(run)
    }

    /// Writes what is in memory and makes it as durable as the store promises; returns the position up
    /// to which that holds.
    func sync() throws(StorageError) -> UInt64 {
        try repair()
        try seal()
        try makeDurable()
        mergeSmallBlocks()
        return end
    }

    private func makeDurable() throws(StorageError) {
        if isUnsynced {
            for stream in LogStream.allCases { try files.synchronize(files.data(of: stream)) }
        }
        try writePending()
        guard isUnsynced else { return }
        try files.synchronize(files.index)
        if isDirectoryUnsynced { try files.synchronizeDirectories() }
        isUnsynced = false
        isDirectoryUnsynced = false
    }

    private var isTailFull: Bool {
        tail.byteCount >= Self.blockBytes || tail.fragments.count >= Self.blockFragments
    }

    /// The gap notes at the end: what a repeated run may bring again.
    private var notesAtEnd: [Fragment] {
        tail.end.position == index.end.position ? committedNotes + tail.notesAtEnd : Array(tail.notesAtEnd)
    }

    /// Writes the tail as a block: first the members, then, behind them, the record that commits both.
    ///
    /// With `power` the record waits for `sync`, which makes the members durable before it.
    func seal() throws(StorageError) {
        guard !tail.isEmpty else { return }
        try createFiles()
        let stdout = try writeMember(.stdout)
        let stderr = try writeMember(.stderr)
        let record = BlockHeader.record(of: tail, stdout: stdout, stderr: stderr)
        committedNotes = notesAtEnd
        index.blocks.append(LogIndex.Block(header: record.header, offset: index.length))
        index.length += record.header.recordLength
        pending += record.header.encoded() + record.table
        tail.restart(keepsBuffers: isTailFull)
        switch durability {
        case .process: try writePending()
        case .power: isUnsynced = true
        }
    }

    private func writeMember(_ stream: LogStream) throws(StorageError) -> BlockHeader.Member {
        let member = codec.member(of: tail.bytes(of: stream), at: index.fileLength(of: stream))
        if member.compressed > 0 { try files.write(codec.member, to: files.data(of: stream), at: member.offset) }
        return member
    }

    private func writePending() throws(StorageError) {
        guard !pending.isEmpty else { return }
        do throws(StorageError) {
            identity = try files.write(pending, to: files.index, at: index.length - UInt64(pending.count))
        } catch {
            // A part may be written: the next attempt begins at the same offset.
            identity = try File.identity(of: files.index)
            throw error
        }
        pending = []
    }

    private func createFiles() throws(StorageError) {
        guard !hasFiles else { return }
        identity = try files.create(for: job)
        hasFiles = true
        isDirectoryUnsynced = durability == .power
    }

    /// Before the first append: cuts what follows the last commit whose members are whole.
    private func repair() throws(StorageError) {
        guard !isRepaired else { return }
        if hasFiles {
            try cutTornEnd()
            // The process before may have died between a write and its sync.
            isUnsynced = durability == .power
            isDirectoryUnsynced = isUnsynced
        }
        isRepaired = true
    }

    private func cutTornEnd() throws(StorageError) {
        let lengths = (try files.length(of: .stdout), try files.length(of: .stderr))
        while let last = index.blocks.last,
            last.header.stdout.end > lengths.0 || last.header.stderr.end > lengths.1
        {
            index.blocks.removeLast()
            index.length = last.offset
        }
        index.damageAtEnd = nil
        for stream in LogStream.allCases {
            try files.cut(files.data(of: stream), to: index.fileLength(of: stream))
        }
        identity = try files.cut(files.index, to: index.length)
        tail = LogBlock(at: index.end)
        do throws(StorageError) {
            committedNotes = try lastNotes(index.end.gaps)
        } catch .corrupt {
            // A note may come twice then; nothing else depends on them.
            committedNotes = []
        }
        codec.forget(job)
    }
}
