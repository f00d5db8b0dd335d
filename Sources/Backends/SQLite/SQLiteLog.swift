import GRDB
import Storage

/// One job's log: the blocks in the database, those that wait for the next commit, and the open tail.
///
/// Belongs to the store's actor and runs on its thread.
final class SQLiteLog: BlockedLog {
    let job: JobID
    let codec: BlockCodec
    /// Whether the job was deleted.
    let isDeleted: Bool
    private(set) var blocks: [LogIndex.Block]
    private(set) var damageAtEnd: UInt64?
    private(set) var tail: LogBlock
    /// Blocks that are not in the database yet, by their ids.
    private(set) var pending: [UInt64: StoredBlock] = [:]

    private let database: DatabasePool
    /// The gap notes at the end of the blocks; nil before they are needed.
    private var committedNotes: [Fragment]?

    /// The log as it stands in the database.
    init(of job: JobID, in database: DatabasePool, codec: BlockCodec) throws(StorageError) {
        self.job = job
        self.codec = codec
        self.database = database
        let found = try Self.read(database) { db in (try db.isBuried(job), try db.blocks(of: job)) }
        isDeleted = found.0
        blocks = found.1.blocks
        damageAtEnd = found.1.damageAtEnd
        tail = LogBlock(at: blocks.last?.header.end ?? .start)
    }

    var storedBytes: UInt64 { blocks.reduce(0) { $0 + $1.header.size } }

    /// Whether nothing would be lost by forgetting this value.
    var isClean: Bool { tail.isEmpty && pending.isEmpty }

    /// Whether the tail must become a block before more is taken.
    var isTailFull: Bool {
        tail.byteCount >= JobLog.blockBytes || tail.fragments.count >= JobLog.blockFragments
    }

    /// What the log takes and spans.
    var usage: JobUsage {
        let statistics = statistics
        return JobUsage(job: job, storedBytes: statistics.storedBytes, times: statistics.times)
    }

    /// The part of a run that is new.
    func news(of run: FragmentRun) throws(StorageError) -> FragmentRun {
        if committedNotes == nil {
            do throws(StorageError) {
                committedNotes = try lastNotes(tail.start.gaps)
            } catch .corrupt {
                // A note that comes again is kept twice, which is better than no more output.
                committedNotes = []
            }
        }
        return try run.unknown(toLogEndingAt: end, notes: notesAtEnd)
    }

    private var notesAtEnd: [Fragment] {
        tail.end.position == tail.start.position ? (committedNotes ?? []) + tail.notesAtEnd : Array(tail.notesAtEnd)
    }

    /// Takes the next part of a run.
    func take(_ place: inout RunPlace, of run: FragmentRun, _ bytes: UnsafeRawBufferPointer) {
        tail.take(
            &place, of: run, bytes, maxBytes: JobLog.blockBytes, maxFragments: JobLog.blockFragments)
    }

    /// Begins a new tail at `position`, behind lost bytes; the one before must be sealed.
    func jump(to position: UInt64) {
        tail = LogBlock(at: LogCursor(position: position))
        committedNotes = []
    }

    /// Makes a block of the tail, which waits for the commit under the id `id`.
    func seal(as id: UInt64) {
        guard !tail.isEmpty else { return }
        let block = codec.encode(tail)
        committedNotes = notesAtEnd
        blocks.append(LogIndex.Block(header: block.header, offset: id))
        pending[id] = block
        tail.restart(keepsBuffers: isTailFull)
    }

    /// Gives up what is damaged behind the last whole block, so that it can come again.
    func cutDamage() throws(StorageError) {
        guard let damage = damageAtEnd else { return }
        try write { db in try db.removeBlocks(of: self.job, from: damage) }
        damageAtEnd = nil
    }

    /// Replaces the last blocks by one where they are many and small; `id` is the next free one.
    func mergeSmallBlocks(as id: UInt64) throws(StorageError) {
        guard pending.isEmpty, tail.isEmpty, let small = SmallBlocks.last(of: blocks) else { return }
        let whole = codec.encode(try merged(small))
        let rest = blocks[..<small.startIndex]
        let block = LogIndex.Block(header: whole.header, offset: id, damageBefore: small.first?.damageBefore)
        try write { db in
            for block in small { try db.remove(block.offset, of: self.job) }
            try db.insert(whole, id: id, of: self.job)
        }
        blocks = rest + [block]
    }

    /// Gives the log other blocks, whose ids begin at `id`; as many as the rewrite has are free.
    func replaceBlocks(by rewrite: LogRewrite, from id: UInt64) throws(StorageError) {
        var next = id
        var new: [(id: UInt64, block: StoredBlock)] = []
        var kept: Set<UInt64> = []
        // Ids are in the order of places: behind the first new block everything gets a new one.
        for block in rewrite.blocks {
            switch block {
            case .kept(let block) where new.isEmpty: kept.insert(block.offset)
            case .kept(let block):
                new.append((next, try stored(block)))
                next += 1
            case .new(let block):
                new.append((next, block))
                next += 1
            }
        }
        let old = blocks.map(\.offset).filter { !kept.contains($0) }
        codec.forget(job)
        try write { db in
            for id in old { try db.remove(id, of: self.job) }
            if let damage = self.damageAtEnd { try db.removeBlocks(of: self.job, from: damage) }
            for (id, block) in new { try db.insert(block, id: id, of: self.job) }
        }
        let found = try Self.read(database) { db in try db.blocks(of: self.job) }
        blocks = found.blocks
        damageAtEnd = found.damageAtEnd
        tail = LogBlock(at: blocks.last?.header.end ?? .start)
        committedNotes = nil
        try write { db in try db.update(self.usage) }
    }

    /// Writes waiting blocks, as part of a transaction.
    func write(to db: Database) throws {
        for (id, block) in pending.sorted(by: { $0.key < $1.key }) { try db.insert(block, id: id, of: job) }
        try db.update(usage)
    }

    /// Notes that the transaction was committed.
    func didCommit() {
        pending = [:]
    }

    func table(of block: LogIndex.Block) throws(StorageError) -> [UInt8] {
        if let waiting = pending[block.offset] { return waiting.table }
        return try Self.read(database) { db in try db.content(.fragments, of: block.offset) }
    }

    func member(of stream: LogStream, in block: LogIndex.Block) throws(StorageError) -> [UInt8] {
        if let waiting = pending[block.offset] { return waiting.member(of: stream) }
        let part = stream == .stdout ? BlockPart.stdout : .stderr
        return try Self.read(database) { db in try db.content(part, of: block.offset) }
    }

    func place(of offset: UInt64) -> String { "log of \(job), block \(offset)" }

    func place(of stream: LogStream, in block: LogIndex.Block) -> String {
        "\(place(of: block.offset)), \(stream.name)"
    }

    private func write(_ body: (Database) throws -> Void) throws(StorageError) {
        do {
            try database.write(body)
        } catch {
            throw StorageError(sqlite: error, path: database.path)
        }
    }

    private static func read<Value: Sendable>(
        _ database: DatabasePool, _ body: (Database) throws -> Value
    ) throws(StorageError) -> Value {
        do {
            return try database.read(body)
        } catch {
            throw StorageError(sqlite: error, path: database.path)
        }
    }
}
