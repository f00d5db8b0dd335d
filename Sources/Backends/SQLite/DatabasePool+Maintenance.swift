import GRDB
import Glibc
import Storage

extension DatabasePool {
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
