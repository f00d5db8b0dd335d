import Foundation
import GRDB
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite struct SQLiteMetricStoreTests {
    @Test func `points can be asked for by their type in SQL`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteMetricStore(path: "\(path)/metrics.db")
            var sample = SampleMetrics(seed: 1)
            let samples = sample.samples(20)
            let job = JobID.random()
            try await store.append(samples, to: job)
            let found = try await store.database.read { db in
                try Double.fetchAll(
                    db,
                    sql: """
                        SELECT json_extract(points."values", '$.memory_current') FROM points
                        JOIN jobs ON jobs.number = points.job
                        WHERE jobs.id = ? AND metric_type = 'memory' ORDER BY sequence
                        """, arguments: [job.description])
            }
            let expected = samples.flatMap(\.points).filter { $0.type == .memory }.compactMap {
                $0.values["memory_current"]
            }
            #expect(found == expected)
            #expect(!expected.isEmpty)
        }
    }

    @Test(arguments: [
        "SELECT sequence, time FROM samples WHERE job = 1 AND sequence >= 3 AND sequence < 9 ORDER BY sequence",
        "SELECT sequence FROM samples WHERE job = 1 AND time >= 5 ORDER BY time, sequence LIMIT 1",
        "SELECT metric_type FROM points WHERE job = 1 AND sequence = 4 ORDER BY place",
    ])
    func `every query is answered by an index, without sorting`(_ sql: String) async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteMetricStore(path: "\(path)/metrics.db")
            let plan = try await store.database.read { db in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN \(sql)").map { row -> String in row["detail"] }
            }
            #expect(plan.count == 1)
            #expect(plan.allSatisfy { $0.hasPrefix("SEARCH") }, "\(plan)")
        }
    }

    @Test func `a point that cannot be read names its job and sequence`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteMetricStore(path: "\(path)/metrics.db")
            let job = JobID.random()
            try await store.append([MetricSample(0), MetricSample(1)], to: job)
            try await store.database.write { db in
                try db.execute(sql: "UPDATE points SET \"values\" = '{\"a\":}' WHERE sequence = 1")
            }
            await #expect(throws: StorageError.corrupt(place: "points, job \(job), sequence 1")) {
                try await store.read(MetricQuery(job: job), from: 0, limit: 10)
            }
        }
    }

    @Test func `a database of a newer version is not touched`() async throws {
        try await withScratchDirectory { path in
            do {
                let store = try SQLiteMetricStore(path: "\(path)/metrics.db")
                try await store.database.write { db in
                    try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('999')")
                }
            }
            do {
                _ = try SQLiteMetricStore(path: "\(path)/metrics.db")
                Issue.record("was opened")
            } catch StorageError.unavailable {
                return
            }
        }
    }

    @Test func `a sequence beyond what a column holds is refused`() async throws {
        try await withScratchDirectory { path in
            let store = try SQLiteMetricStore(path: "\(path)/metrics.db")
            await #expect(throws: StorageError.self) { try await store.skip(to: .max, of: .random()) }
        }
    }
}
