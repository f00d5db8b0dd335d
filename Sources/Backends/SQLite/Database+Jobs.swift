import GRDB
import Storage

extension Database {
    /// Stores records where they are newer than what is there, up to the first that is refused; returns why it is.
    func put(_ records: [JobRecord]) throws -> StorageError? {
        var incarnations: [String: String] = [:]
        for record in records {
            let node = record.node
            let known = try incarnations[node.id] ?? incarnation(of: node.id)
            guard known == nil || known == node.incarnation else {
                return .refused(reason: "node \(node.id) writes from another data directory")
            }
            if let refusal = try put(record) { return refusal }
            if known == nil {
                try cachedStatement(sql: "INSERT INTO nodes (id, incarnation) VALUES (?, ?)")
                    .execute(arguments: [node.id, node.incarnation])
            }
            incarnations[node.id] = node.incarnation
        }
        return nil
    }

    private func incarnation(of node: String) throws -> String? {
        try String.fetchOne(
            cachedStatement(sql: "SELECT incarnation FROM nodes WHERE id = ?"), arguments: [node])
    }

    private func put(_ record: JobRecord) throws -> StorageError? {
        let id = record.id.description
        guard let version = Int64(exactly: record.version) else {
            return .refused(reason: "version \(record.version) of job \(id) is out of range")
        }
        // One statement a record: which of the reasons it was where nothing changes is looked up only then.
        let statement = try cachedStatement(
            sql: """
                INSERT INTO jobs (id, version, node, incarnation, status, name, created_at, record, checksum)
                SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
                WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE id = ?1 AND version >= ?2)
                ON CONFLICT (id) DO UPDATE SET
                    version = excluded.version, node = excluded.node, incarnation = excluded.incarnation,
                    status = excluded.status, name = excluded.name, created_at = excluded.created_at,
                    record = excluded.record, checksum = excluded.checksum
                WHERE excluded.version > jobs.version
                """)
        let json = record.json
        try statement.execute(arguments: [
            id, version, record.node.id, record.node.incarnation, record.status.rawValue, record.specification.name,
            record.createdAt, String(decoding: json, as: UTF8.self), Database.checksum(of: json),
        ])
        guard changesCount == 0 else { return nil }
        let tombstone = try Int64.fetchOne(
            cachedStatement(sql: "SELECT version FROM tombstones WHERE id = ?"), arguments: [id])
        return tombstone.map { version <= $0 } == true ? .refused(reason: "job \(id) was deleted") : nil
    }

    /// What is kept beside a record, since SQLite itself does not notice a byte that changed.
    fileprivate static func checksum(of json: [UInt8]) -> Int64 {
        Int64(json.withUnsafeBytes { crc32($0) })
    }

    /// The record of a job.
    func record(_ id: JobID) throws -> JobRecord? {
        let row = try Row.fetchOne(
            cachedStatement(sql: "SELECT id, record, checksum FROM jobs WHERE id = ?"), arguments: [id.description])
        return try row.map(JobRecord.init(row:))
    }

    /// The ids that begin with a prefix.
    func ids(prefix: JobIDPrefix, limit: Int) throws -> [JobID] {
        // "g" is behind every character of an id.
        let ids = try String.fetchAll(
            cachedStatement(sql: "SELECT id FROM jobs WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"),
            arguments: [prefix.text, prefix.text + "g", max(0, limit)])
        return try ids.map { text in
            guard let id = JobID(text) else { throw StorageError.corrupt(place: "jobs, id \(text)") }
            return id
        }
    }

    /// A page of the records that match a query.
    func page(_ query: JobQuery, after cursor: JobCursor?, limit: Int) throws -> JobPage {
        var conditions: [String] = []
        var arguments: StatementArguments = []
        if let node = query.node {
            conditions.append("node = ?")
            arguments += [node]
        }
        if let statuses = query.statuses {
            conditions.append("status IN (\(databaseQuestionMarks(count: statuses.count)))")
            arguments += StatementArguments(statuses.map(\.rawValue).sorted())
        }
        if let name = query.name {
            conditions.append("name = ?")
            arguments += [name]
        }
        if let created = query.created {
            conditions.append("created_at BETWEEN ? AND ?")
            arguments += [created.lowerBound, created.upperBound]
        }
        if let cursor {
            conditions.append("(created_at, id) > (?, ?)")
            arguments += [cursor.createdAt, cursor.id.description]
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        // One more than the page holds tells whether it is the last.
        let more = limit == .max ? limit : limit + 1
        let rows = try Row.fetchCursor(
            cachedStatement(sql: "SELECT id, record, checksum FROM jobs \(filter) ORDER BY created_at, id LIMIT ?"),
            arguments: arguments + [more])
        var records: [JobRecord] = []
        while let row = try rows.next() {
            if records.count == limit { return JobPage(records: records, next: records.last.map { JobCursor($0) }) }
            records.append(try JobRecord(row: row))
        }
        return JobPage(records: records, next: nil)
    }

    /// Replaces a job's record by a tombstone of the time `time`, and ends tombstones that have stood long enough.
    func bury(_ id: JobID, version: UInt64, at time: Int64) throws {
        let version = Int64(clamping: version)
        try cachedStatement(
            sql: """
                INSERT INTO tombstones (id, version, deleted_at) VALUES (?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                    version = MAX(version, excluded.version), deleted_at = MAX(deleted_at, excluded.deleted_at)
                """
        ).execute(arguments: [id.description, version, time])
        try cachedStatement(sql: "DELETE FROM jobs WHERE id = ? AND version <= ?")
            .execute(arguments: [id.description, version])
        try cachedStatement(sql: "DELETE FROM tombstones WHERE deleted_at < ?")
            .execute(arguments: [Tombstones.oldest(at: time)])
    }
}

extension JobRecord {
    /// The record of a row with the columns `id`, `record` and `checksum`.
    fileprivate init(row: Row) throws {
        let id: String = try row.decode(atIndex: 0)
        let text: String = try row.decode(atIndex: 1)
        let json = Array(text.utf8)
        // Rows that an earlier version of the schema wrote have no checksum.
        let checksum: Int64? = try row.decode(atIndex: 2)
        do {
            try self.init(json: json)
        } catch {
            throw StorageError.corrupt(place: "jobs, id \(id)")
        }
        guard self.id.description == id, checksum == nil || checksum == Database.checksum(of: json) else {
            throw StorageError.corrupt(place: "jobs, id \(id)")
        }
    }
}
