import Foundation
import GRDB
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite struct SQLiteLogStoreTests {
    private func transaction<Value>(
        _ store: SQLiteLogStore, _ body: (Database) throws -> Value
    ) throws -> Value {
        try store.database.writeWithoutTransaction(body)
    }

    @Test func `the files are for the owner, space goes back, and the journal is a WAL`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/new/logs.db")
            let job = JobID.random()
            try await store.append(SampleLog.largeRuns(seed: 1, count: 40), to: job)
            _ = try await store.sync([job])
            for name in ["logs.db", "logs.db-wal", "logs.db-shm"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/new/\(name)")
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
            let mode = try transaction(store) { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
            #expect(mode == "wal")
            let before = try transaction(store) { try Int.fetchOne($0, sql: "PRAGMA page_count") } ?? 0
            try await store.delete(job)
            let after = try transaction(store) { try Int.fetchOne($0, sql: "PRAGMA page_count") } ?? 0
            #expect(after < before / 2)
        }
    }

    @Test func `a sync of many jobs is one transaction`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/logs.db", durability: .power)
            let jobs = (0..<200).map { _ in JobID.random() }
            for job in jobs { try await store.append(FragmentRun("line\n"), to: job) }
            let before = try frames("\(path)/logs.db-wal")
            #expect(try await store.sync(jobs).count == 200)
            // A page for each job and more would be written by a transaction a job.
            #expect(try frames("\(path)/logs.db-wal") - before < 60)
        }
    }

    @Test func `a thousand small syncs leave few blocks`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/logs.db")
            let job = JobID.random()
            var sample = SampleLog(seed: 2)
            let runs = (0..<1000).map { _ in sample.run(fragments: 3) }
            for run in runs {
                try await store.append(run, to: job)
                _ = try await store.sync([job])
            }
            let blocks = try transaction(store) { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM blocks") } ?? 0
            #expect(blocks < 40)
            let again = try SQLiteLogStore(path: "\(path)/logs.db")
            #expect(try await again.transcript(of: LogQuery(job: job)) == Transcript(runs))
        }
    }

    @Test func `a time query touches only its blocks`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/logs.db")
            let job = JobID.random()
            var sample = SampleLog(seed: 3)
            let runs = (0..<6).map { _ in sample.lines(bytes: 1 << 20) }
            try await store.append(runs, to: job)
            try await store.finish(job)
            // All but the last block lose their contents.
            try transaction(store) { db in
                try db.execute(sql: "UPDATE contents SET stdout = x'00' WHERE id < (SELECT MAX(id) FROM contents)")
            }
            let time = try #require(runs.last?.fragments.first?.time)
            let last = try await store.transcript(of: LogQuery(job: job, since: time))
            #expect(last == Transcript([runs[5]]))
            let cursor = try await store.cursor(forLast: 5, of: LogQuery(job: job))
            #expect(try await !store.read(LogQuery(job: job), after: cursor, maxBytes: 100).bytes.isEmpty)
            await #expect(throws: StorageError.self) { try await store.transcript(of: LogQuery(job: job)) }
        }
    }

    @Test func `a commit that fails loses nothing that is in memory`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/logs.db")
            let job = JobID.random()
            var sample = SampleLog(seed: 4)
            let runs = sample.runs(30)
            try await store.append(Array(runs[..<10]), to: job)
            _ = try await store.sync([job])
            try transaction(store) { try $0.execute(sql: "PRAGMA query_only = ON") }
            try await store.append(Array(runs[10...]), to: job)
            await #expect(throws: StorageError.self) { try await store.sync([job]) }
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
            try transaction(store) { try $0.execute(sql: "PRAGMA query_only = OFF") }
            #expect(try await store.sync([job]) == [job: runs.last?.end ?? 0])
            let again = try SQLiteLogStore(path: "\(path)/logs.db")
            #expect(try await again.transcript(of: LogQuery(job: job)) == Transcript(runs))
        }
    }

    @Test func `a damaged block is named, and mended by a note`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/logs.db")
            let job = JobID.random()
            var sample = SampleLog(seed: 5)
            let runs = (0..<4).map { _ in sample.run(fragments: 40) }
            for run in runs {
                try await store.append(run, to: job)
                _ = try await store.sync([job])
            }
            let column = ["stdout", "fragments"]
            for name in column {
                let file = "\(path)/\(name).db"
                try await SQLiteBackup.copy("\(path)/logs.db", to: file)
                let other = try SQLiteLogStore(path: file)
                let id = try transaction(other) { try Int64.fetchAll($0, sql: "SELECT id FROM contents ORDER BY id") }[
                    1]
                try transaction(other) { db in
                    let bytes = "substr(\(name), 1, 20) || x'ff' || substr(\(name), 22)"
                    try db.execute(
                        sql: "UPDATE contents SET \(name) = CAST(\(bytes) AS BLOB) WHERE id = ?", arguments: [id])
                }
                let report = try await LogVerification(of: other).check(job)
                #expect(report.problems.count == 1)
                #expect(report.digest.bytes == UInt64(runs[0].bytes.count))
                let repairs = Collected<JobRepair>()
                try await other.repair { repairs.add($0) }
                let lost = UInt64(runs[1].bytes.count)
                #expect(repairs.all == [JobRepair(job: job, outcome: .mended(lostBytes: lost))])
                #expect(try await LogVerification(of: other).check(job).problems.isEmpty)
                let left = try await other.transcript(of: LogQuery(job: job))
                #expect(left.bytes == runs[0].bytes + runs[2].bytes + runs[3].bytes)
                #expect(try await other.end(of: job) == runs[3].end)
            }
        }
    }

    @Test func `a backup is what was synced, and a database of its own`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteLogStore(path: "\(path)/logs.db")
            let job = JobID.random()
            try await store.append(FragmentRun("synced\n"), to: job)
            _ = try await store.sync([job])
            try await store.append(FragmentRun("not yet\n", at: 7, time: 2), to: job)
            let target = "\(path)/backups/one.db"
            try await SQLiteBackup.copy("\(path)/logs.db", to: target)
            await #expect(throws: StorageError.unavailable(reason: "\(target) exists already")) {
                try await SQLiteBackup.copy("\(path)/logs.db", to: target)
            }
            await #expect(throws: StorageError.notFound) { try await SQLiteBackup.copy("\(path)/none.db", to: target) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(path)/backups") == ["one.db"])
            let copy = try SQLiteLogStore(path: target)
            #expect(try await copy.integrityProblems().isEmpty)
            #expect(try await copy.transcript(of: LogQuery(job: job)).bytes == Array("synced\n".utf8))
            let jobs = try SQLiteJobStore(path: "\(path)/jobs.db")
            let record = JobRecord(
                id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
                specification: JobSpecification(command: "/bin/true"), createdAt: 1)
            try await jobs.put([record])
            try await SQLiteBackup.copy("\(path)/jobs.db", to: "\(path)/backups/jobs.db")
            #expect(try await SQLiteJobStore(path: "\(path)/backups/jobs.db").get(record.id) == record)
        }
    }
}

/// Pages that a WAL file of 16 KiB pages holds.
private func frames(_ path: String) throws -> Int {
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    return size / (16_384 + 24)
}
