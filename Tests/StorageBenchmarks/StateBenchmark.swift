import Backends
import BenchmarkSupport
import Foundation
import GRDB
import Storage

/// How many job records a second SQLite takes, and what a list of 100,000 costs.
struct StateBenchmark {
    let surroundings: Surroundings

    /// Records of a transaction, as the daemon ships them.
    static let batch = 256
    private static let rounds = 4
    private static let records = 100_000
    private static let pageRecords = 500

    func run() async throws -> [Figure] {
        let directory = surroundings.work + "/state"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try SQLiteJobStore(path: directory + "/jobs.db", durability: surroundings.durability)
        let bare = try BareInserts(directory + "/bare.db", surroundings.durability)
        let plain = try BareInserts(directory + "/plain.db", surroundings.durability, hasIndexes: false)
        let samples = SampleRecords()
        var rates: [Double] = []
        var perCore: [Double] = []
        var floors: [Double] = []
        var floorsPerCore: [Double] = []
        var plainFloors: [Double] = []
        let count = Self.records / Self.rounds
        for round in 0..<Self.rounds {
            let records = samples.ended(round * count..<(round + 1) * count)
            let (start, before) = (ContinuousClock.now, ownProcessorSeconds())
            for first in stride(from: 0, to: count, by: Self.batch) {
                try await store.put(Array(records[first..<min(first + Self.batch, count)]))
                try await store.sync()
            }
            rates.append(Double(count) / (ContinuousClock.now - start).seconds)
            perCore.append(Double(count) / (ownProcessorSeconds() - before))
            let rows = try bare.rows(of: directory + "/jobs.db", from: round * count)
            guard rows.count == count else { throw Wrong("\(rows.count) of \(count) records are stored") }
            let cost = try bare.insert(rows)
            floors.append(Double(count) / cost.seconds)
            floorsPerCore.append(Double(count) / cost.processorSeconds)
            plainFloors.append(Double(count) / (try plain.insert(rows)).seconds)
        }
        return [
            Figure("state.sqlite.puts_s", rates.median, "puts/s", floor: floors.median, better: .higher),
            Figure(
                "state.sqlite.puts_s_per_core", perCore.median, "puts/s", floor: floorsPerCore.median, better: .higher),
            Figure("state.bare_puts_without_indexes_s", plainFloors.median, "puts/s", better: .higher),
        ] + (try await list(store, bare))
    }

    private func list(_ store: SQLiteJobStore, _ bare: BareInserts) async throws -> [Figure] {
        var times: [Double] = []
        var pages: [Double] = []
        var floors: [Double] = []
        for _ in 0..<3 {
            floors.append(try bare.selectSeconds() * 1000)
            let start = ContinuousClock.now
            var (cursor, count): (JobCursor?, Int) = (nil, 0)
            repeat {
                let begin = ContinuousClock.now
                let page = try await store.list(JobQuery(), after: cursor, limit: Self.pageRecords)
                pages.append((ContinuousClock.now - begin).milliseconds)
                count += page.records.count
                cursor = page.next
            } while cursor != nil
            times.append((ContinuousClock.now - start).milliseconds)
            guard count == Self.records else { throw Wrong("\(count) records are listed") }
        }
        return [
            Figure("state.list_100k_ms", times.median, "ms", floor: floors.median, better: .lower),
            Figure("state.list_page_ms", pages.median, "ms", better: .lower),
        ]
    }
}

/// A database with the same table, into which rows go as they are: the floor of putting records.
private struct BareInserts {
    private let database: DatabaseQueue
    private static let columns = "id, version, node, incarnation, status, name, created_at, record"

    init(_ path: String, _ durability: Durability, hasIndexes: Bool = true) throws {
        // The store makes the table, so that it is the same.
        _ = try SQLiteJobStore(path: path)
        database = try DatabaseQueue(path: path)
        try database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            try db.execute(sql: "PRAGMA synchronous = \(durability == .power ? "FULL" : "NORMAL")")
            if hasIndexes { return }
            let names = try String.fetchAll(db, sql: "SELECT name FROM sqlite_schema WHERE name LIKE 'jobs_by_%'")
            for name in names { try db.execute(sql: "DROP INDEX \(name)") }
        }
    }

    /// The rows of another database with that table, behind the first `count`.
    func rows(of path: String, from count: Int) throws -> [StatementArguments] {
        var configuration = Configuration()
        configuration.readonly = true
        return try DatabaseQueue(path: path, configuration: configuration).read { db in
            try Row.fetchAll(
                db, sql: "SELECT \(Self.columns) FROM jobs WHERE rowid > ? ORDER BY rowid", arguments: [count]
            )
            .map { StatementArguments(Array($0.databaseValues)) }
        }
    }

    /// Seconds, and seconds of CPU time, to insert the rows, in transactions of as many as the store's.
    func insert(_ rows: [StatementArguments]) throws -> (seconds: Double, processorSeconds: Double) {
        let (start, before) = (ContinuousClock.now, ownProcessorSeconds())
        for first in stride(from: 0, to: rows.count, by: StateBenchmark.batch) {
            try database.write { db in
                let statement = try db.cachedStatement(
                    sql: "INSERT INTO jobs (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
                for row in rows[first..<min(first + StateBenchmark.batch, rows.count)] {
                    try statement.execute(arguments: row)
                }
            }
        }
        return ((ContinuousClock.now - start).seconds, ownProcessorSeconds() - before)
    }

    /// Seconds to read every record's text in the order of a list.
    func selectSeconds() throws -> Double {
        let start = ContinuousClock.now
        let bytes = try database.read { db in
            var bytes = 0
            let rows = try Row.fetchCursor(db, sql: "SELECT id, record FROM jobs ORDER BY created_at, id")
            while let row = try rows.next() {
                let text: String = row[1]
                bytes += text.utf8.count
            }
            return bytes
        }
        guard bytes > 0 else { throw Wrong("no record was read") }
        return (ContinuousClock.now - start).seconds
    }
}
