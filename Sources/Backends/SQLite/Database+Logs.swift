import FoundationEssentials
import GRDB
import Storage

/// Which part of a block's content.
enum BlockPart: String {
    case fragments
    case stdout
    case stderr
}

extension Database {
    /// The blocks of a log, by place, without their contents; a block whose header is not one is damage.
    func blocks(of job: JobID) throws -> (blocks: [LogIndex.Block], damageAtEnd: UInt64?) {
        let rows = try Row.fetchCursor(
            cachedStatement(sql: "SELECT id, header FROM blocks WHERE job = ? ORDER BY id"),
            arguments: [job.description])
        var blocks: [LogIndex.Block] = []
        var damage: UInt64?
        while let row = try rows.next() {
            let id = UInt64(bitPattern: try row.decode(Int64.self, atIndex: 0))
            let header = try row.withUnsafeData(atIndex: 1) { $0?.withUnsafeBytes { BlockHeader($0) } }
            if let header, header.follows(blocks.last?.header.end ?? .start, stdout: 0, stderr: 0) {
                blocks.append(LogIndex.Block(header: header, offset: id, damageBefore: damage))
                damage = nil
            } else {
                damage = damage ?? id
            }
        }
        return (blocks, damage)
    }

    /// A part of a block's content; empty where it is not there.
    func content(_ part: BlockPart, of block: UInt64) throws -> [UInt8] {
        let row = try Row.fetchOne(
            cachedStatement(sql: "SELECT \(part.rawValue) FROM contents WHERE id = ?"),
            arguments: [Int64(bitPattern: block)])
        return try row?.withUnsafeData(atIndex: 0) { $0.map { [UInt8]($0) } } ?? []
    }

    /// The number that the next block gets: above all that are there.
    func nextBlock() throws -> UInt64 {
        let last = try Int64.fetchOne(self, sql: "SELECT MAX(id) FROM contents") ?? 0
        let lastHeader = try Int64.fetchOne(self, sql: "SELECT MAX(id) FROM blocks") ?? 0
        return UInt64(max(0, last, lastHeader)) + 1
    }

    /// Stores a block.
    func insert(_ block: StoredBlock, id: UInt64, of job: JobID) throws {
        let id = Int64(bitPattern: id)
        try cachedStatement(sql: "INSERT INTO contents (id, fragments, stdout, stderr) VALUES (?, ?, ?, ?)")
            .execute(arguments: [id, Data(block.table), Data(block.stdout), Data(block.stderr)])
        try cachedStatement(sql: "INSERT INTO blocks (job, id, header) VALUES (?, ?, ?)")
            .execute(arguments: [job.description, id, Data(block.header.encoded())])
    }

    /// Removes a block.
    func remove(_ block: UInt64, of job: JobID) throws {
        let id = Int64(bitPattern: block)
        try cachedStatement(sql: "DELETE FROM contents WHERE id = ?").execute(arguments: [id])
        try cachedStatement(sql: "DELETE FROM blocks WHERE job = ? AND id = ?")
            .execute(arguments: [job.description, id])
    }

    /// Removes the blocks of a log from `block` on.
    func removeBlocks(of job: JobID, from block: UInt64) throws {
        let arguments: StatementArguments = [job.description, Int64(bitPattern: block)]
        try cachedStatement(
            sql: "DELETE FROM contents WHERE id IN (SELECT id FROM blocks WHERE job = ? AND id >= ?)"
        ).execute(arguments: arguments)
        try cachedStatement(sql: "DELETE FROM blocks WHERE job = ? AND id >= ?").execute(arguments: arguments)
    }

    /// Notes what a log takes and spans.
    func update(_ usage: JobUsage) throws {
        let times = usage.times ?? 0...0
        try cachedStatement(
            sql: """
                INSERT INTO logs (job, stored, earliest, latest) VALUES (?, ?, ?, ?)
                ON CONFLICT (job) DO UPDATE SET
                    stored = excluded.stored, earliest = excluded.earliest, latest = excluded.latest
                """
        ).execute(arguments: [
            usage.job.description, Int64(clamping: usage.storedBytes), times.lowerBound, times.upperBound,
        ])
    }

    /// What the logs take and span, by job, from after `job` on.
    func usages(after job: JobID?, limit: Int) throws -> [JobUsage] {
        let rows = try Row.fetchCursor(
            cachedStatement(sql: "SELECT job, stored, earliest, latest FROM logs WHERE job > ? ORDER BY job LIMIT ?"),
            arguments: [job?.description ?? "", limit])
        var usages: [JobUsage] = []
        while let row = try rows.next() {
            let text: String = try row.decode(atIndex: 0)
            let (stored, earliest, latest): (Int64, Int64, Int64) = try (
                row.decode(atIndex: 1), row.decode(atIndex: 2), row.decode(atIndex: 3)
            )
            guard let job = JobID(text), earliest <= latest else {
                throw StorageError.corrupt(place: "logs, job \(text)")
            }
            usages.append(JobUsage(job: job, storedBytes: UInt64(clamping: stored), times: earliest...latest))
        }
        return usages
    }

    /// Whether a job's log was deleted.
    func isBuried(_ job: JobID) throws -> Bool {
        try Bool.fetchOne(
            cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM tombstones WHERE job = ?)"),
            arguments: [job.description]) ?? false
    }

    /// Removes a log and leaves a tombstone of the time `time`; ends those that have stood long enough.
    func bury(_ job: JobID, at time: Int64) throws {
        let arguments: StatementArguments = [job.description]
        try cachedStatement(
            sql: """
                INSERT INTO tombstones (job, deleted_at) VALUES (?, ?)
                ON CONFLICT (job) DO UPDATE SET deleted_at = MAX(deleted_at, excluded.deleted_at)
                """
        ).execute(arguments: [job.description, time])
        try cachedStatement(sql: "DELETE FROM contents WHERE id IN (SELECT id FROM blocks WHERE job = ?)")
            .execute(arguments: arguments)
        try cachedStatement(sql: "DELETE FROM blocks WHERE job = ?").execute(arguments: arguments)
        try cachedStatement(sql: "DELETE FROM logs WHERE job = ?").execute(arguments: arguments)
        try cachedStatement(sql: "DELETE FROM tombstones WHERE deleted_at < ?")
            .execute(arguments: [Tombstones.oldest(at: time)])
    }
}
