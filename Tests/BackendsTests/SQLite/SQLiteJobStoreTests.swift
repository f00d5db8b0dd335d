import Foundation
import GRDB
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite struct SQLiteJobStoreTests {
    @Test func `the directory and the files are for the owner`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteJobStore(path: "\(path)/new/state/jobs.db")
            try await store.put([record()])
            let modes = try ["", "/jobs.db", "/jobs.db-wal", "/jobs.db-shm"].map { name in
                try FileManager.default.attributesOfItem(atPath: "\(path)/new/state\(name)")[.posixPermissions] as? Int
            }
            #expect(modes == [0o700, 0o600, 0o600, 0o600])
        }
    }

    @Test(arguments: [(Durability.process, 1), (.power, 2)])
    func `the journal is a WAL, synced as the durability asks`(_ durability: Durability, _ level: Int) async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteJobStore(path: "\(path)/jobs.db", durability: durability)
            let (mode, synchronous) = try await store.database.writeWithoutTransaction { db in
                (try String.fetchOne(db, sql: "PRAGMA journal_mode"), try Int.fetchOne(db, sql: "PRAGMA synchronous"))
            }
            #expect(mode == "wal")
            #expect(synchronous == level)
        }
    }

    @Test(arguments: [
        "id >= 'ab' AND id < 'abg' ORDER BY id", "node = 'n' ORDER BY created_at, id",
        "status IN ('RUNNING') ORDER BY created_at, id", "name = 'x' ORDER BY created_at, id",
        "(created_at, id) > (7, 'ab') ORDER BY created_at, id",
    ])
    func `every query is answered by an index`(_ condition: String) async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteJobStore(path: "\(path)/jobs.db")
            let plan = try await store.database.read { db in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN SELECT id, record FROM jobs WHERE \(condition)")
                    .map { row -> String in row["detail"] }
            }
            #expect(plan.allSatisfy { $0.hasPrefix("SEARCH jobs USING INDEX") }, "\(plan)")
        }
    }

    @Test func `a file that is no database is corrupt`() async throws {
        try await withScratchDirectory { path in
            let file = "\(path)/jobs.db"
            try Data(repeating: 0x55, count: 8192).write(to: URL(fileURLWithPath: file))
            #expect(throws: StorageError.corrupt(place: file)) { try SQLiteJobStore(path: file) }
        }
    }

    @Test func `a damaged page is corrupt, not another record`() async throws {
        try await withScratchDirectory { path in
            let file = "\(path)/jobs.db"
            let id = JobID.random()
            try await fill(file, id)
            var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
            // Every page but the first, which holds the schema.
            bytes.replaceSubrange(4096..<bytes.count, with: Data(repeating: 0xaa, count: bytes.count - 4096))
            try bytes.write(to: URL(fileURLWithPath: file))
            let store = try? SQLiteJobStore(path: file)
            guard let store else { return }
            await #expect(throws: StorageError.corrupt(place: file)) { try await store.get(id) }
        }
    }

    @Test func `a record that cannot be read names its job`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteJobStore(path: "\(path)/jobs.db")
            let record = record()
            try await store.put([record])
            try await store.database.write { try $0.execute(sql: "UPDATE jobs SET record = '{}'") }
            await #expect(throws: StorageError.corrupt(place: "jobs, id \(record.id)")) {
                try await store.get(record.id)
            }
        }
    }

    @Test func `a database of a newer version is not touched`() async throws {
        try await withScratchDirectory { path in
            do {
                let store = try SQLiteJobStore(path: "\(path)/jobs.db")
                try await store.database.write { db in
                    try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('999')")
                }
            }
            await expectUnavailable { _ = try SQLiteJobStore(path: "\(path)/jobs.db") }
        }
    }

    @Test func `a version beyond what a column holds is refused`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteJobStore(path: "\(path)/jobs.db")
            var record = record()
            record.version = UInt64(Int64.max) + 1
            await #expect(throws: StorageError.self) { try await store.put([record]) }
            record.version = UInt64(Int64.max)
            try await store.put([record])
            #expect(try await store.get(record.id) == record)
        }
    }

    @Test(arguments: [
        (ResultCode.SQLITE_BUSY, "unavailable"), (.SQLITE_LOCKED, "unavailable"), (.SQLITE_IOERR, "unavailable"),
        (.SQLITE_IOERR_FSYNC, "unavailable"), (.SQLITE_CANTOPEN, "unavailable"), (.SQLITE_READONLY, "unavailable"),
        (.SQLITE_FULL, "quota"), (.SQLITE_CORRUPT, "corrupt"), (.SQLITE_CORRUPT_INDEX, "corrupt"),
        (.SQLITE_NOTADB, "corrupt"), (.SQLITE_INTERRUPT, "cancelled"), (.SQLITE_ABORT, "cancelled"),
    ])
    func `errors are told apart by their code`(_ code: ResultCode, _ name: String) {
        // The text speaks of something else: it must not count.
        let cause = DatabaseError(resultCode: code, message: "database disk image is full")
        let error = StorageError(sqlite: cause, path: "/p")
        switch error {
        case .unavailable: #expect(name == "unavailable")
        case .quota: #expect(name == "quota")
        case .corrupt(let place):
            #expect(name == "corrupt")
            #expect(place == "/p")
        case .cancelled: #expect(name == "cancelled")
        default: Issue.record("\(error)")
        }
    }

    private func record() -> JobRecord {
        JobRecord(
            id: .random(), node: NodeIdentity(id: "node", incarnation: "one"),
            specification: JobSpecification(command: "/bin/true"), createdAt: 1)
    }

    /// Writes records until they fill several pages, and closes the database.
    private func fill(_ file: String, _ id: JobID) async throws {
        let store = try SQLiteJobStore(path: file)
        var first = record()
        first.id = id
        try await store.put([first] + (0..<200).map { _ in record() })
        try await store.database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
    }

    private func expectUnavailable(_ body: () throws -> Void) async {
        do {
            try body()
            Issue.record("was not refused")
        } catch StorageError.unavailable {
            return
        } catch {
            Issue.record("threw \(error)")
        }
    }
}
