import GRDB
import Glibc
import Storage

extension DatabasePool {
    /// Opens the database at `path`, made with mode 0600 in a directory with mode 0700 where missing, and brings it
    /// to the newest schema.
    ///
    /// With `power` every commit is synced to the disk, with `process` only checkpoints are. A database that a newer
    /// program wrote is `unavailable` and not touched.
    static func open(
        _ path: String, _ configuration: Configuration, migrator: DatabaseMigrator, durability: Durability
    ) throws(StorageError) -> DatabasePool {
        let directory = Directory.parent(of: path)
        try Directory.create(directory)
        // SQLite gives its -wal and -shm files the mode of the database.
        if try File.open(path, O_RDWR | O_CREAT) == nil {
            throw .unavailable(reason: "\(path) cannot be made")
        }
        let pool: DatabasePool
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // The pool asks for NORMAL when it turns the journal to WAL.
            if durability == .power {
                try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            }
            if try pool.read(migrator.hasBeenSuperseded) {
                throw StorageError.unavailable(reason: "\(path) was written by a newer version of this program")
            }
            try migrator.migrate(pool)
        } catch {
            throw StorageError(sqlite: error, path: path)
        }
        if durability == .power { try Directory.synchronize(directory) }
        return pool
    }

    /// What `PRAGMA integrity_check` finds, none where the database is sound.
    func integrityProblems() throws(StorageError) -> [String] {
        do {
            let lines = try read { db in try String.fetchAll(db, sql: "PRAGMA integrity_check") }
            return lines == ["ok"] ? [] : lines
        } catch {
            let error = StorageError(sqlite: error, path: path)
            guard case .corrupt = error else { throw error }
            return ["\(error)"]
        }
    }

    /// Copies the database as it stands to a new file at `path` while it is used, by SQLite's online backup.
    ///
    /// The copy is one file without a journal, with mode 0600. A file that is there already is `unavailable`.
    func writeBackup(to path: String) throws(StorageError) {
        try Directory.create(Directory.parent(of: path))
        guard try File.identity(of: path) == nil else {
            throw .unavailable(reason: "\(path) exists already")
        }
        let new = "\(path).new"
        for suffix in ["", "-journal"] { try Directory.remove(file: new + suffix) }
        if try File.open(new, O_RDWR | O_CREAT | O_EXCL) == nil {
            throw .unavailable(reason: "\(new) cannot be made")
        }
        do {
            let target = try DatabaseQueue(path: new)
            try backup(to: target)
            // A copy of pages, the journal mode in the first one included.
            try target.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = DELETE") }
            try target.close()
        } catch {
            throw StorageError(sqlite: error, path: new)
        }
        guard let file = try File.open(new, O_WRONLY) else { throw .unavailable(reason: "\(new) was removed") }
        try file.synchronize()
        try Directory.rename(new, to: path)
        try Directory.synchronize(Directory.parent(of: path))
    }
}
