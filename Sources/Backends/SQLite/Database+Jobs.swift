import FoundationEssentials
import GRDB
import Storage

extension Database {
    /// Stores a record where it is newer than what is there; returns why where it is refused.
    func put(_ record: JobRecord) throws -> StorageError? {
        let id = record.id.description
        let incarnation = try String.fetchOne(
            cachedStatement(sql: "SELECT incarnation FROM nodes WHERE id = ?"), arguments: [record.node.id])
        guard incarnation == nil || incarnation == record.node.incarnation else {
            return .refused(reason: "node \(record.node.id) writes from another data directory")
        }
        guard let version = Int64(exactly: record.version) else {
            return .refused(reason: "version \(record.version) of job \(id) is out of range")
        }
        let tombstone = try Int64.fetchOne(
            cachedStatement(sql: "SELECT version FROM tombstones WHERE id = ?"), arguments: [id])
        if let tombstone, version <= tombstone { return .refused(reason: "job \(id) was deleted") }
        if incarnation == nil {
            try cachedStatement(sql: "INSERT INTO nodes (id, incarnation) VALUES (?, ?)")
                .execute(arguments: [record.node.id, record.node.incarnation])
        }
        let statement = try cachedStatement(
            sql: """
                INSERT INTO jobs (id, version, node, incarnation, status, name, created_at, record)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                    version = excluded.version, node = excluded.node, incarnation = excluded.incarnation,
                    status = excluded.status, name = excluded.name, created_at = excluded.created_at,
                    record = excluded.record
                WHERE excluded.version > jobs.version
                """)
        try statement.execute(arguments: [
            id, version, record.node.id, record.node.incarnation, record.status.rawValue, record.specification.name,
            record.createdAt, try record.json(),
        ])
        return nil
    }

    /// The record of a job.
    func record(_ id: JobID) throws -> JobRecord? {
        let row = try Row.fetchOne(
            cachedStatement(sql: "SELECT id, record FROM jobs WHERE id = ?"), arguments: [id.description])
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
            cachedStatement(sql: "SELECT id, record FROM jobs \(filter) ORDER BY created_at, id LIMIT ?"),
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
    /// The record as JSON with sorted keys: the same record always gives the same text.
    fileprivate func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// The record of a row with the columns `id` and `record`.
    fileprivate init(row: Row) throws {
        let id: String = row[0]
        let json: String = row[1]
        do {
            self = try JSONDecoder().decode(JobRecord.self, from: Data(json.utf8))
        } catch {
            throw StorageError.corrupt(place: "jobs, id \(id)")
        }
    }
}
