import GRDB
public import Storage

/// Keeps job records in one SQLite database in WAL mode: a row a job, with indexes for every query.
///
/// The schema is described in docs/storage.md. A `put` is one transaction, however many records it
/// holds; readers see the state before or after it and wait for no writer.
public final class SQLiteJobStore: JobStore, CheckableStore {
    let database: DatabasePool
    private let now: @Sendable () -> Int64

    /// Opens the database at `path`, made with mode 0600 in a directory with mode 0700 where missing.
    ///
    /// With `power` every commit is synced to the disk, with `process` only checkpoints are. `now` tells the time
    /// that tombstones get, in nanoseconds since 1970.
    public init(
        path: String, durability: Durability = .process, now: @escaping @Sendable () -> Int64 = Tombstones.now
    ) throws(StorageError) {
        database = try Self.open(path, durability)
        self.now = now
    }

    public func put(_ records: [JobRecord]) async throws(StorageError) {
        guard !records.isEmpty else { return }
        // A refusal ends the loop but not the transaction: the records before it are stored.
        let refusal = try await write { db in try db.put(records) }
        if let refusal { throw refusal }
    }

    /// Every commit is as durable already as the store promises.
    public func sync() async throws(StorageError) {}

    public func get(_ id: JobID) async throws(StorageError) -> JobRecord {
        let record = try await read { db in try db.record(id) }
        guard let record else { throw .notFound }
        return record
    }

    public func ids(prefix: JobIDPrefix, limit: Int) async throws(StorageError) -> [JobID] {
        try await read { db in try db.ids(prefix: prefix, limit: limit) }
    }

    public func list(
        _ query: JobQuery, after cursor: JobCursor?, limit: Int
    ) async throws(StorageError) -> JobPage {
        try await read { db in try db.page(query, after: cursor, limit: max(1, limit)) }
    }

    public func delete(_ id: JobID, version: UInt64) async throws(StorageError) {
        let time = now()
        try await write { db in try db.bury(id, version: version, at: time) }
    }

    /// What `PRAGMA integrity_check` finds; none where the database is sound.
    public func integrityProblems() async throws(StorageError) -> [String] {
        try await SQLiteMaintenance.shared.integrityProblems(of: database)
    }

    /// Saves what can be read of a damaged database at `path`, which no one has open, into a new one in its place.
    ///
    /// The damaged files stay beside it with `.damaged` behind their names. Returns how many records were saved.
    public static func recover(path: String) async throws(StorageError) -> Int {
        try await SQLiteMaintenance.shared.recover(path, open: { path throws(StorageError) in try open(path, .power) })[
            "jobs"]
            ?? 0
    }

    private static func open(_ path: String, _ durability: Durability) throws(StorageError) -> DatabasePool {
        try DatabasePool.open(path, label: "joblet.jobs", durability, JobSchema.migrator)
    }

    private func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StorageError) -> Value {
        try await database.perform { try await $0.read(body) }
    }

    private func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StorageError) -> Value {
        try await database.perform { try await $0.write(body) }
    }
}
