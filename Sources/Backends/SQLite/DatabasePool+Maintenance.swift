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
}
