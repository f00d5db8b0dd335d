import GRDB
public import Storage

/// Keeps job records in one SQLite database in WAL mode: a row a job, with indexes for every query.
///
/// The schema is described in docs/storage.md. A `put` is one transaction, however many records it
/// holds; readers see the state before or after it and wait for no writer.
public final class SQLiteJobStore: JobStore {
    let database: DatabasePool

    /// Opens the database at `path`, made with mode 0600 in a directory with mode 0700 where missing.
    ///
    /// With `power` every commit is synced to the disk, with `process` only checkpoints are.
    public init(path: String, durability: Durability = .process) throws(StorageError) {
        database = try DatabasePool.open(path, label: "joblet.jobs", durability, JobSchema.migrator)
    }

    public func put(_ records: [JobRecord]) async throws(StorageError) {
        guard !records.isEmpty else { return }
        // A refusal ends the loop but not the transaction: the records before it are stored.
        let refusal = try await write { db -> StorageError? in
            for record in records {
                if let refusal = try db.put(record) { return refusal }
            }
            return nil
        }
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
        try await write { db in try db.bury(id, version: version) }
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
