import Foundation
import GRDB
import Storage
import StorageConformance
import TestSupport
import Testing

@testable import Backends

/// Databases of records and of samples that were cut or changed: what is read of them is what was written, or an error.
@Suite struct SQLiteImageTests {
    // MARK: Records

    private func records() -> [JobID: JobRecord] {
        let records = (0..<120).map { index in
            var specification = JobSpecification(command: "/bin/echo")
            specification.arguments = ["\(index)", String(repeating: "argument ", count: index)]
            return JobRecord(
                id: JobID(high: UInt64(index) << 32, low: 1), node: NodeIdentity(id: "node", incarnation: "one"),
                specification: specification,
                createdAt: 1_700_000_000_000_000_000 + Int64(index))
        }
        return Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0) })
    }

    /// Half of the records in the database, half in its journal.
    private func image(of records: [JobID: JobRecord], in path: String) async throws -> DatabaseImage {
        let file = "\(path)/source/jobs.db"
        let store = try SQLiteJobStore(path: file)
        for (index, record) in records.values.sorted(by: { $0.createdAt < $1.createdAt }).enumerated() {
            try await store.put([record])
            if index == records.count / 2 {
                try await store.database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            }
        }
        return try DatabaseImage(of: file)
    }

    /// Reads every record, by list and by id; none may be another than it was.
    private func expectSound(_ file: String, _ records: [JobID: JobRecord], _ damage: String) async {
        let store: SQLiteJobStore
        var listed: [JobRecord] = []
        do throws(StorageError) {
            store = try SQLiteJobStore(path: file)
            var cursor: JobCursor?
            repeat {
                let page = try await store.list(JobQuery(), after: cursor, limit: 50)
                listed += page.records
                cursor = page.next
            } while cursor != nil && listed.count <= 2 * records.count
        } catch {
            return expectClear(error, damage)
        }
        for record in listed { #expect(record == records[record.id], "\(damage)") }
        for (id, record) in records {
            do throws(StorageError) {
                #expect(try await store.get(id) == record, "\(damage)")
            } catch {
                expectClear(error, damage)
            }
        }
    }

    /// A store that was damaged says so, lacks what is gone, or cannot be opened.
    private func expectClear(_ error: StorageError, _ damage: String) {
        switch error {
        case .corrupt, .notFound, .unavailable: return
        default: Issue.record("\(damage): \(error)")
        }
    }

    @Test func `records of a cut database are those that were put`() async throws {
        try await withScratchDirectory { path in
            let records = records()
            let image = try await image(of: records, in: path)
            for damage in image.cuts(seed: 120) {
                try image.write(to: "\(path)/jobs.db", damage)
                await expectSound("\(path)/jobs.db", records, damage.description)
            }
        }
    }

    @Test func `a bit that flips in a database of records changes none`() async throws {
        try await withScratchDirectory { path in
            let records = records()
            let image = try await image(of: records, in: path)
            for damage in image.flips(120, seed: 121) {
                try image.write(to: "\(path)/jobs.db", damage)
                await expectSound("\(path)/jobs.db", records, damage.description)
            }
        }
    }

    @Test func `a record with a changed character, and one in another's place, are corrupt`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteJobStore(path: "\(path)/jobs.db")
            let (first, second) = (JobID(high: 1, low: 2), JobID(high: 3, low: 4))
            for id in [first, second] {
                try await store.put([
                    JobRecord(
                        id: id, node: NodeIdentity(id: "n", incarnation: "i"),
                        specification: JobSpecification(command: "/bin/true"), createdAt: 5)
                ])
            }
            for sql in [
                "UPDATE jobs SET record = replace(record, '/bin/true', '/bin/trux')",
                "UPDATE jobs SET checksum = checksum + 1",
                """
                UPDATE jobs SET (record, checksum) = (SELECT record, checksum FROM jobs WHERE id = '\(second)')
                WHERE id = '\(first)'
                """,
            ] {
                try await store.database.writeWithoutTransaction { db in
                    try db.inTransaction {
                        try db.execute(sql: sql)
                        #expect(throws: StorageError.corrupt(place: "jobs, id \(first)")) { try db.record(first) }
                        return .rollback
                    }
                }
                #expect(try await store.get(first).id == first)
            }
        }
    }

    @Test func `records of the schema before checksums are read, and get one when they change`() async throws {
        try await withScratchDirectory { path in
            let file = "\(path)/jobs.db"
            var record = JobRecord(
                id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
                specification: JobSpecification(command: "/bin/true"), createdAt: 5)
            do {
                let store = try SQLiteJobStore(path: file)
                try await store.put([record])
                try await store.database.write { db in
                    try db.execute(
                        sql: """
                            ALTER TABLE jobs DROP COLUMN checksum;
                            DELETE FROM grdb_migrations WHERE identifier = '3'
                            """)
                }
                try store.database.close()
            }
            let store = try SQLiteJobStore(path: file)
            #expect(try await store.get(record.id) == record)
            record.version += 1
            try await store.put([record])
            let checksum = try await store.database.read { try Int64.fetchOne($0, sql: "SELECT checksum FROM jobs") }
            #expect(checksum != nil)
        }
    }

    // MARK: Samples

    private func image(of samples: [MetricSample], _ job: JobID, in path: String) async throws -> DatabaseImage {
        let file = "\(path)/source/metrics.db"
        let store = try SQLiteMetricStore(path: file)
        for (index, sample) in samples.enumerated() {
            try await store.append([sample], to: job)
            if index == samples.count / 2 {
                try await store.database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            }
        }
        return try DatabaseImage(of: file)
    }

    /// Reads all samples that can be read; none may be another than it was.
    private func expectSound(_ file: String, _ samples: [MetricSample], _ job: JobID, _ damage: String) async {
        do throws(StorageError) {
            let store = try SQLiteMetricStore(path: file)
            for start: UInt64 in [0, UInt64(samples.count / 2), UInt64(samples.count - 1)] {
                var next = start
                while true {
                    let page = try await store.read(MetricQuery(job: job), from: next, limit: 20)
                    for sample in page.samples {
                        #expect(sample == samples[min(samples.count - 1, Int(sample.sequence))], "\(damage)")
                    }
                    guard !page.isLast, page.next > next else { break }
                    next = page.next
                }
            }
        } catch {
            expectClear(error, damage)
        }
    }

    @Test func `samples of a cut or changed database are those that were appended`() async throws {
        try await withScratchDirectory { path in
            let job = JobID(high: 1, low: 2)
            var source = SampleMetrics(seed: 122)
            let samples = source.samples(150)
            let image = try await image(of: samples, job, in: path)
            for damage in image.cuts(seed: 123) + image.flips(120, seed: 124) {
                try image.write(to: "\(path)/metrics.db", damage)
                await expectSound("\(path)/metrics.db", samples, job, damage.description)
            }
        }
    }

    @Test(arguments: [
        "UPDATE samples SET time = time + 1 WHERE sequence = 1",
        "UPDATE points SET \"values\" = replace(\"values\", '1', '2') WHERE sequence = 1",
        "UPDATE points SET metric_type = 'memory' WHERE sequence = 1",
        "DELETE FROM points WHERE sequence = 1",
        "UPDATE points SET sequence = 2, place = 7 WHERE sequence = 1",
    ])
    func `a sample that is not what was appended is corrupt`(_ sql: String) async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteMetricStore(path: "\(path)/metrics.db")
            let job = JobID(high: 1, low: 2)
            try await store.append([MetricSample(0), MetricSample(1, value: 1.25), MetricSample(2)], to: job)
            try await store.database.write { try $0.execute(sql: sql) }
            await #expect(throws: StorageError.corrupt(place: "points, job \(job), sequence 1")) {
                try await store.read(MetricQuery(job: job), from: 0, limit: 10)
            }
        }
    }
}
