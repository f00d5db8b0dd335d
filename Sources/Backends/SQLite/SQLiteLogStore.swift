import GRDB
public import Storage

/// Keeps logs in one SQLite database in WAL mode: compressed blocks as blobs, the same as those of local-gzip.
///
/// The schema is described in docs/storage.md. Appended bytes gather in memory, where readers see them, until a
/// block of 1 MiB is full; full blocks wait until 8 MiB are there, or `sync` or `finish` asks for a commit. A commit
/// takes the blocks of all jobs in one transaction, so that many jobs cost no more syncs than one.
/// One process writes a database at a time.
public final class SQLiteLogStore: LogStore {
    let database: DatabasePool
    private let logs: SQLiteLogs

    /// Opens the database at `path`, made with mode 0600 in a directory with mode 0700 where missing.
    ///
    /// `durability` is what `sync` promises. `now` tells the time that tombstones get, in nanoseconds since 1970.
    public init(
        path: String, durability: Durability = .process, executor: BlockingExecutor = .shared,
        now: @escaping @Sendable () -> Int64 = Tombstones.now
    ) throws(StorageError) {
        database = try Self.open(path, durability)
        do {
            let next = try database.read { db in try db.nextBlock() }
            logs = SQLiteLogs(database, nextBlock: next, thread: executor.thread(), now: now)
        } catch {
            throw StorageError(sqlite: error, path: path)
        }
    }

    public func append(_ run: FragmentRun, to job: JobID) async throws(StorageError) {
        try await logs.append(run, to: job)
    }

    public func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError) {
        try await logs.skip(to: position, of: job, time: time)
    }

    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await logs.sync(jobs)
    }

    public func finish(_ job: JobID) async throws(StorageError) {
        try await logs.finish(job)
    }

    public func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await logs.end(of: job)
    }

    public func read(
        _ query: LogQuery, after cursor: LogCursor, maxBytes: Int
    ) async throws(StorageError) -> LogPage {
        if let pattern = query.grep {
            return try await search(query, for: pattern, after: cursor, maxBytes: maxBytes)
        }
        return try await logs.read(query, after: cursor, maxBytes: maxBytes)
    }

    public func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        if let pattern = query.grep {
            return try await searchCursor(forLast: lines, of: query, for: pattern)
        }
        return try await logs.cursor(forLast: lines, of: query)
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await logs.usages(after: job, limit: limit).map(\.job)
    }

    public func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await logs.usages(after: job, limit: limit)
    }

    public func statistics(of job: JobID) async throws(StorageError) -> LogStatistics {
        try await logs.statistics(of: job)
    }

    public func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await logs.trim(job, to: bytes)
    }

    public func delete(_ job: JobID) async throws(StorageError) {
        try await logs.delete(job)
    }

    /// Saves what can be read of a damaged database at `path`, which no one has open, into a new one in its place.
    ///
    /// The damaged files stay beside it with `.damaged` behind their names. Returns how many blocks were saved. The
    /// new database may lack blocks: `repair` notes what is missing.
    public static func recover(path: String) async throws(StorageError) -> Int {
        try await SQLiteMaintenance.shared.recover(path, open: { path throws(StorageError) in try open(path, .power) })[
            "blocks"] ?? 0
    }

    private static func open(_ path: String, _ durability: Durability) throws(StorageError) -> DatabasePool {
        try DatabasePool.open(path, label: "joblet.logs", durability, LogSchema.migrator) { db in
            // Both count only before the first table is made. Large pages suit large blobs; space of deleted logs
            // goes back to the disk.
            if !db.configuration.readonly {
                try db.execute(sql: "PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL")
            }
        }
    }
}

extension SQLiteLogStore: RepairableStore {
    public func integrityProblems() async throws(StorageError) -> [String] {
        try await SQLiteMaintenance.shared.integrityProblems(of: database)
    }

    /// Replaces damaged blocks by notes. A database that is damaged itself must be recovered before.
    public func repair(_ body: @Sendable (JobRepair) -> Void) async throws(StorageError) {
        for job in try await logs.jobsWithBlocks() {
            if Task.isCancelled { throw .cancelled }
            do throws(StorageError) {
                let outcome = try await logs.repair(job).map { JobRepair.Outcome.mended(lostBytes: $0) } ?? .sound
                body(JobRepair(job: job, outcome: outcome))
            } catch {
                body(JobRepair(job: job, outcome: .failed(error)))
            }
        }
    }
}
