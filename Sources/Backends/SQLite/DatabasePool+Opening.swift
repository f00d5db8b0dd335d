import GRDB
import Glibc
import Storage

extension DatabasePool {
    /// Opens the database at `path` in WAL mode, made with mode 0600 in a directory with mode 0700 where missing, and
    /// brings it to the newest schema.
    ///
    /// With `power` every commit is synced to the disk, with `process` only checkpoints are. Throws `unavailable`
    /// where a newer program wrote it. `prepare` is called with each connection that is made.
    static func open(
        _ path: String, label: String, _ durability: Durability, _ migrator: DatabaseMigrator,
        prepare: @escaping @Sendable (Database) throws -> Void = { _ in }
    ) throws(StorageError) -> DatabasePool {
        let directory = Directory.parent(of: path)
        try Directory.create(directory)
        // SQLite gives its -wal and -shm files the mode of the database.
        if try File.open(path, O_RDWR | O_CREAT) == nil {
            throw .unavailable(reason: "\(path) cannot be made")
        }
        let database: DatabasePool
        do {
            database = try DatabasePool(path: path, configuration: configuration(label, prepare))
            // The pool asks for NORMAL when it turns the journal to WAL.
            if durability == .power {
                try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            }
            if try database.read(migrator.hasBeenSuperseded) {
                throw StorageError.unavailable(reason: "\(path) was written by a newer version of this program")
            }
            try migrator.migrate(database)
        } catch {
            throw StorageError(sqlite: error, path: path)
        }
        if durability == .power { try Directory.synchronize(directory) }
        return database
    }

    /// What `body` returns, its errors as those of a store.
    func perform<Value: Sendable>(
        _ body: (DatabasePool) async throws -> Value
    ) async throws(StorageError) -> Value {
        do {
            return try await body(self)
        } catch {
            throw StorageError(sqlite: error, path: path)
        }
    }

    private static func configuration(
        _ label: String, _ prepare: @escaping @Sendable (Database) throws -> Void
    ) -> Configuration {
        var configuration = Configuration()
        configuration.label = label
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 2
        configuration.prepareDatabase { db in
            // Pages of a connection's cache, in KiB: rows are read once.
            try db.execute(sql: "PRAGMA cache_size = -512")
            try prepare(db)
        }
        return configuration
    }
}
