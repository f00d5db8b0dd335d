import GRDB
public import Storage

/// Keeps samples in one SQLite database in WAL mode: a row a sample and a row a point.
///
/// The schema is described in docs/storage.md. An `append` is one transaction; readers see the state before or after
/// it and wait for no writer.
public final class SQLiteMetricStore: MetricStore, CheckableStore {
    let database: DatabasePool

    /// Opens the database at `path`, made with mode 0600 in a directory with mode 0700 where missing.
    ///
    /// With `power` every commit is synced to the disk, with `process` only checkpoints are.
    public init(path: String, durability: Durability = .process) throws(StorageError) {
        database = try Self.open(path, durability)
    }

    public func append(_ samples: [MetricSample], to job: JobID) async throws(StorageError) {
        try await write { db in
            let known = try db.series(for: job)
            for sample in try MetricRun.unknown(samples, toStoreEndingAt: known?.next ?? 0) {
                try db.insert(sample, job, known)
            }
            if let last = samples.last { try db.setEnd(last.sequence + 1, of: job) }
        }
    }

    public func skip(to sequence: UInt64, of job: JobID) async throws(StorageError) {
        try await write { db in
            _ = try db.series(for: job)
            try db.setEnd(sequence, of: job)
        }
    }

    /// Every commit is as durable already as the store promises.
    public func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await read { db in
            var ends: [JobID: UInt64] = [:]
            for job in jobs { ends[job] = try db.series(of: job)?.next }
            return ends
        }
    }

    public func finish(_ job: JobID) async throws(StorageError) {}

    public func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await read { db in try db.series(of: job)?.next }
    }

    public func read(
        _ query: MetricQuery, from sequence: UInt64, limit: Int
    ) async throws(StorageError) -> MetricPage {
        if Task.isCancelled { throw .cancelled }
        return try await read { db in try db.samples(query, from: sequence, limit: limit) }
    }

    public func delete(_ job: JobID) async throws(StorageError) {
        try await write { db in try db.remove(job) }
    }

    public func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await read { db in try db.jobsWithSamples(after: job, limit: limit) }
    }

    public func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await write { db in try db.trimSamples(of: job, to: bytes) }
    }

    public func statistics(of job: JobID) async throws(StorageError) -> MetricStatistics {
        try await read { db in try db.metricStatistics(of: job) }
    }

    /// What `PRAGMA integrity_check` finds; none where the database is sound.
    public func integrityProblems() async throws(StorageError) -> [String] {
        try await SQLiteMaintenance.shared.integrityProblems(of: database)
    }

    /// Saves what can be read of a damaged database at `path`, which no one has open, into a new one in its place.
    ///
    /// The damaged files stay beside it with `.damaged` behind their names. Returns how many samples were saved.
    public static func recover(path: String) async throws(StorageError) -> Int {
        try await SQLiteMaintenance.shared.recover(path, open: { path throws(StorageError) in try open(path, .power) })[
            "samples"] ?? 0
    }

    private static func open(_ path: String, _ durability: Durability) throws(StorageError) -> DatabasePool {
        try DatabasePool.open(path, label: "joblet.metrics", durability, MetricSchema.migrator)
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
