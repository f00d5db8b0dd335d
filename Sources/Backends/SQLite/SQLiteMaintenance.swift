import GRDB
import Glibc
import Storage

/// Long work on databases, on a thread that may block.
actor SQLiteMaintenance {
    static let shared = SQLiteMaintenance()

    private nonisolated let thread = BlockingExecutor.shared.thread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    func integrityProblems(of database: DatabasePool) throws(StorageError) -> [String] {
        try database.integrityProblems()
    }

    /// Saves the rows of a damaged database; returns how many, by table.
    ///
    /// `open` makes a database with the tables that it shall have.
    func recover(
        _ path: String, open: @Sendable (String) throws(StorageError) -> DatabasePool
    ) throws(StorageError) -> [String: Int] {
        let new = "\(path).recovered"
        for suffix in Self.suffixes { try Directory.remove(file: new + suffix) }
        var rows: [String: Int] = [:]
        do {
            let target = try open(new)
            do {
                let source = try DatabaseQueue(path: path)
                rows = try DatabaseRescue(from: source, to: target).run()
                try source.close()
            } catch let error as DatabaseError where error.resultCode == .SQLITE_NOTADB {
                // Nothing of it can be read: what follows is an empty database.
            }
            try target.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            try target.close()
        } catch {
            throw StorageError(sqlite: error, path: path)
        }
        for suffix in Self.suffixes where try File.identity(of: path + suffix) != nil {
            try Directory.rename(path + suffix, to: "\(path).damaged\(suffix)")
        }
        try Directory.rename(new, to: path)
        try Directory.synchronize(Directory.parent(of: path))
        return rows
    }

    private static let suffixes = ["", "-wal", "-shm", "-journal"]
}

/// Copies what can be read of each table, past what cannot.
private struct DatabaseRescue {
    /// Rows of a transaction; one may hold more than a megabyte.
    private static let batch = 16

    private let source: DatabaseQueue
    private let target: DatabasePool

    init(from source: DatabaseQueue, to target: DatabasePool) {
        self.source = source
        self.target = target
    }

    /// Returns how many rows were copied, by table.
    func run() throws -> [String: Int] {
        var rows: [String: Int] = [:]
        let tables = try target.read { db in
            try String.fetchAll(
                db, sql: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        }
        for table in tables where table != "grdb_migrations" {
            rows[table] = try copy(table)
        }
        return rows
    }

    /// Reads a table by its rows and, where that fails, by its key, from both ends: where one way is damaged another
    /// may not be. Returns how many rows were copied.
    private func copy(_ table: String) throws -> Int {
        let (key, hasRows) = try target.read { db in
            (
                try db.primaryKey(table).columns,
                try Bool.fetchOne(db, sql: "SELECT NOT wr FROM pragma_table_list WHERE name = ?", arguments: [table])
            )
        }
        var copied = 0
        for columns in hasRows == true ? [["rowid"], key] : [key] {
            for order in ["ASC", "DESC"] {
                let (count, isWhole) = try copy(table, by: columns.map { "\($0) \(order)" }.joined(separator: ", "))
                copied += count
                if isWhole { return copied }
            }
        }
        return copied
    }

    /// Copies from one end up to what cannot be read.
    private func copy(_ table: String, by order: String) throws -> (count: Int, isWhole: Bool) {
        // An earlier version of the schema has fewer columns.
        let known = (try? source.inDatabase { db in try db.columns(in: table).map(\.name) }) ?? []
        let columns = try target.read { db in try db.columns(in: table).map(\.name) }.filter(known.contains)
        guard !columns.isEmpty else { return (0, false) }
        let list = columns.joined(separator: ", ")
        let values = databaseQuestionMarks(count: columns.count)
        var copied = 0
        var isWhole = true
        try source.inDatabase { db in
            var waiting: [StatementArguments] = []
            do {
                let rows = try Row.fetchCursor(db, sql: "SELECT \(list) FROM \(table) ORDER BY \(order)")
                while let row = try rows.next() {
                    waiting.append(StatementArguments(Array(row.databaseValues)))
                    if waiting.count == Self.batch {
                        copied += try insert(waiting, "INSERT OR IGNORE INTO \(table) (\(list)) VALUES (\(values))")
                        waiting = []
                    }
                }
            } catch is DatabaseError {
                // What lies behind is reached from the other end, if at all.
                isWhole = false
            }
            copied += try insert(waiting, "INSERT OR IGNORE INTO \(table) (\(list)) VALUES (\(values))")
        }
        return (copied, isWhole)
    }

    private func insert(_ rows: [StatementArguments], _ sql: String) throws -> Int {
        try target.write { db in
            let before = db.totalChangesCount
            let statement = try db.makeStatement(sql: sql)
            for row in rows { try statement.execute(arguments: row) }
            return db.totalChangesCount - before
        }
    }
}
