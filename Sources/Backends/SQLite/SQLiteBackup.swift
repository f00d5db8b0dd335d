import GRDB
import Glibc
public import Storage

/// Copies of SQLite databases that other processes use.
public enum SQLiteBackup {
    /// Copies the database at `path` as it stands, by SQLite's online backup, to a new file at `target`.
    ///
    /// What is appended meanwhile is not in it. The copy is one file without a journal, with mode 0600. Throws
    /// `notFound` where there is no database, `unavailable` where `target` is there already.
    public static func copy(_ path: String, to target: String) async throws(StorageError) {
        try await SQLiteMaintenance.shared.backUp(file: path, to: target)
    }
}

extension SQLiteMaintenance {
    fileprivate func backUp(file path: String, to target: String) throws(StorageError) {
        guard try File.identity(of: path) != nil else { throw .notFound }
        do {
            var configuration = Configuration()
            configuration.readonly = true
            // The writer holds its lock for moments only.
            configuration.busyMode = .timeout(10)
            let source = try DatabaseQueue(path: path, configuration: configuration)
            try source.writeBackup(to: target)
            try source.close()
        } catch {
            throw StorageError(sqlite: error, path: path)
        }
    }
}

extension DatabaseReader {
    /// Copies the database as it stands to a new file at `path` while it is used, by SQLite's online backup.
    ///
    /// The copy is one file without a journal, with mode 0600. A file that is there already is `unavailable`.
    fileprivate func writeBackup(to path: String) throws(StorageError) {
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
