import GRDB
import Storage

/// The logs of one database, on one thread: compression and file I/O never run on the cooperative pool.
actor SQLiteLogs {
    /// Compressed bytes that wait for a commit, and bytes in tails, from which on some are written although nobody
    /// asked.
    private static let pendingBytes = 8 << 20
    private static let tailBytes = 32 << 20
    /// Logs whose blocks are remembered, and blocks of all of them, before the one that was not used for
    /// longest is forgotten.
    private static let rememberedLogs = 1024
    private static let rememberedBlocks = 65_536
    /// Pages that a delete gives back to the disk at most, so that it does not keep others waiting.
    private static let freedPages = 4096

    private let database: DatabasePool
    private let now: @Sendable () -> Int64
    private let codec = BlockCodec()
    private var logs: [JobID: (log: SQLiteLog, lastUse: UInt64)] = [:]
    private var clock: UInt64 = 0
    private var nextBlock: UInt64
    private var bytesPending = 0
    private var bytesInTails = 0

    private nonisolated let thread: BlockingThread
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(
        _ database: DatabasePool, nextBlock: UInt64, thread: BlockingThread, now: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.nextBlock = nextBlock
        self.thread = thread
        self.now = now
    }

    func append(_ run: FragmentRun, to job: JobID) throws(StorageError) {
        let log = try writableLog(of: job)
        guard !run.isEmpty else { return }
        try log.cutDamage()
        let news = try log.news(of: run)
        try news.bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            var place = RunPlace()
            while place.index < news.fragments.count {
                // Made room before bytes come rather than after: where that fails, they were not stored.
                if log.isTailFull { seal(log) }
                try makeRoomInMemory()
                let before = log.tail.byteCount
                log.take(&place, of: news, UnsafeRawBufferPointer(bytes))
                bytesInTails += log.tail.byteCount - before
            }
        }
    }

    func skip(to position: UInt64, of job: JobID, time: Int64) throws(StorageError) {
        let log = try writableLog(of: job)
        try log.cutDamage()
        guard position > log.end else { return }
        let lost = position - log.end
        seal(log)
        // The note must follow the jump: nothing may fail in between.
        try makeRoomInMemory()
        log.jump(to: position)
        var run = FragmentRun(start: position)
        run.appendGap(stream: .stdout, time: time, dropped: lost)
        try append(run, to: job)
    }

    func sync(_ jobs: [JobID]) throws(StorageError) -> [JobID: UInt64] {
        var ends: [JobID: UInt64] = [:]
        var failure: StorageError?
        for job in jobs {
            do throws(StorageError) {
                let log = try log(of: job)
                guard log.exists else { continue }
                seal(log)
                ends[job] = log.end
            } catch {
                failure = failure ?? error
            }
        }
        if let failure, ends.isEmpty { throw failure }
        try commit()
        for job in ends.keys { mergeSmallBlocks(of: job) }
        return ends
    }

    func finish(_ job: JobID) throws(StorageError) {
        guard try !sync([job]).isEmpty else { return }
        logs[job] = nil
        codec.forget(job)
    }

    func end(of job: JobID) throws(StorageError) -> UInt64? {
        let log = try log(of: job)
        return log.exists ? log.end : nil
    }

    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) throws(StorageError) -> LogPage {
        if Task.isCancelled { throw .cancelled }
        return try existingLog(of: query.job).read(query, after: cursor, maxBytes: maxBytes)
    }

    func cursor(forLast lines: Int, of query: LogQuery) throws(StorageError) -> LogCursor {
        try existingLog(of: query.job).cursor(forLast: lines, of: query)
    }

    func statistics(of job: JobID) throws(StorageError) -> LogStatistics {
        try existingLog(of: job).statistics
    }

    func usages(after job: JobID?, limit: Int) throws(StorageError) -> [JobUsage] {
        guard limit > 0 else { return [] }
        var usages: [JobID: JobUsage] = [:]
        let stored = try access { database throws in
            try database.read { db in try db.usages(after: job, limit: limit) }
        }
        for usage in stored { usages[usage.job] = usage }
        for (log, _) in logs.values where !log.isClean && (job.map { log.job > $0 } ?? true) {
            usages[log.job] = log.usage
        }
        return Array(usages.values.sorted { $0.job < $1.job }.prefix(limit))
    }

    func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 {
        let log = try existingLog(of: job)
        seal(log)
        try commit()
        if let rewrite = try log.trimmed(to: bytes) {
            try replaceBlocks(of: log, by: rewrite)
            freePages()
        }
        return log.storedBytes
    }

    /// Replaces damaged blocks by notes of what is lost; returns how many bytes that is, nil where none is damaged.
    func repair(_ job: JobID) throws(StorageError) -> UInt64? {
        let log = try existingLog(of: job)
        seal(log)
        try commit()
        guard let rewrite = try log.repaired() else {
            // What the list of logs says may be lost without the blocks.
            try access { database throws in try database.write { db in try db.update(log.usage) } }
            return nil
        }
        try replaceBlocks(of: log, by: rewrite)
        return rewrite.lostBytes
    }

    private func replaceBlocks(of log: SQLiteLog, by rewrite: LogRewrite) throws(StorageError) {
        // Taken before anything is written: what fails later may have used them.
        let first = nextBlock
        nextBlock += UInt64(rewrite.blocks.count)
        do throws(StorageError) {
            try log.replaceBlocks(by: rewrite, from: first)
        } catch {
            // What memory knows of the log may not be what the database has: it is read again.
            logs[log.job] = nil
            codec.forget(log.job)
            throw error
        }
    }

    /// The jobs that have blocks, whether they are listed or not.
    func jobsWithBlocks() throws(StorageError) -> [JobID] {
        try access { database throws in
            try database.read { db in
                try String.fetchAll(db, sql: "SELECT DISTINCT job FROM blocks ORDER BY job").compactMap { JobID($0) }
            }
        }
    }

    func delete(_ job: JobID) throws(StorageError) {
        let time = now()
        try access { database throws in try database.write { db in try db.bury(job, at: time) } }
        if let log = logs.removeValue(forKey: job)?.log {
            bytesInTails -= log.tail.byteCount
            bytesPending -= log.pending.values.reduce(0) { $0 + Int($1.size) }
        }
        codec.forget(job)
        freePages()
    }

    private func existingLog(of job: JobID) throws(StorageError) -> SQLiteLog {
        let log = try log(of: job)
        guard log.exists else { throw .notFound }
        return log
    }

    private func writableLog(of job: JobID) throws(StorageError) -> SQLiteLog {
        let log = try log(of: job)
        if log.isDeleted { throw .refused(reason: "the log was deleted") }
        return log
    }

    private func log(of job: JobID) throws(StorageError) -> SQLiteLog {
        clock += 1
        if let known = logs[job]?.log {
            logs[job]?.lastUse = clock
            return known
        }
        forgetUnused()
        let log = try SQLiteLog(of: job, in: database, codec: codec)
        logs[job] = (log, clock)
        return log
    }

    private func seal(_ log: SQLiteLog) {
        guard !log.tail.isEmpty else { return }
        let id = nextBlock
        nextBlock += 1
        bytesInTails -= log.tail.byteCount
        log.seal(as: id)
        bytesPending += log.pending[id].map { Int($0.size) } ?? 0
    }

    private func makeRoomInMemory() throws(StorageError) {
        if bytesInTails >= Self.tailBytes {
            for (log, _) in logs.values.sorted(by: { $0.log.tail.byteCount > $1.log.tail.byteCount }) {
                if bytesInTails < Self.tailBytes / 2 { break }
                seal(log)
            }
        }
        if bytesPending >= Self.pendingBytes { try commit() }
    }

    /// Writes the waiting blocks of all jobs in one transaction.
    private func commit() throws(StorageError) {
        let waiting = logs.values.lazy.map(\.log).filter { !$0.pending.isEmpty }
        let writers = Array(waiting)
        guard !writers.isEmpty else { return }
        try access { database throws in
            try database.write { db in
                for log in writers { try log.write(to: db) }
            }
        }
        for log in writers { log.didCommit() }
        bytesPending = 0
    }

    /// A saving, and not what `sync` promised: where it fails, the blocks stay as they are.
    private func mergeSmallBlocks(of job: JobID) {
        guard let log = logs[job]?.log else { return }
        let id = nextBlock
        nextBlock += 1
        do throws(StorageError) {
            try log.mergeSmallBlocks(as: id)
        } catch {
            return
        }
    }

    /// Gives free pages back; a saving, so that a failure changes nothing.
    private func freePages() {
        do throws(StorageError) {
            try access { database throws in
                try database.writeWithoutTransaction { db in
                    try db.execute(sql: "PRAGMA incremental_vacuum(\(Self.freedPages))")
                }
            }
        } catch {
            return
        }
    }

    private func access<Value>(_ body: (DatabasePool) throws -> Value) throws(StorageError) -> Value {
        do {
            return try body(database)
        } catch {
            throw StorageError(sqlite: error, path: database.path)
        }
    }

    private func forgetUnused() {
        var blocks = logs.values.reduce(0) { $0 + $1.log.blocks.count }
        while logs.count >= Self.rememberedLogs || blocks > Self.rememberedBlocks {
            let unused = logs.filter { $0.value.log.isClean }.min { $0.value.lastUse < $1.value.lastUse }
            guard let unused else { return }
            blocks -= unused.value.log.blocks.count
            logs[unused.key] = nil
        }
    }
}
