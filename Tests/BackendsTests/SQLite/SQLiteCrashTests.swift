import Foundation
import GRDB
import Storage
import StorageConformance
import TestSupport
import Testing

@testable import Backends

/// Databases that were cut or changed: opening and reading them gives what was there, or an error, never other bytes.
@Suite struct SQLiteCrashTests {
    private static let suffixes = ["", "-wal"]

    /// A log of several blocks, some in the database and some in its journal, as a killed process leaves them.
    private func image(in path: String, _ job: JobID, _ runs: [FragmentRun]) async throws -> [String: [UInt8]] {
        let file = "\(path)/source/logs.db"
        let store = try SQLiteLogStore(path: file)
        for (index, run) in runs.enumerated() {
            try await store.append(run, to: job)
            _ = try await store.sync([job])
            if index == runs.count / 2 {
                try await store.database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            }
        }
        // Copied while it is open: closing would empty the journal.
        return try Dictionary(
            uniqueKeysWithValues: Self.suffixes.map { suffix in
                (suffix, [UInt8](try Data(contentsOf: URL(fileURLWithPath: file + suffix))))
            })
    }

    private func write(_ image: [String: [UInt8]], to file: String) throws {
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: file + suffix) {
            try FileManager.default.removeItem(atPath: file + suffix)
        }
        for (suffix, bytes) in image { try Data(bytes).write(to: URL(fileURLWithPath: file + suffix)) }
    }

    /// What a reader gets of a database; what it throws must be of the closed set.
    private func read(_ file: String, _ job: JobID) async -> (transcript: Transcript, error: StorageError?) {
        var transcript = Transcript()
        do throws(StorageError) {
            let store = try SQLiteLogStore(path: file)
            var cursor = LogCursor.start
            while true {
                let page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: 5000)
                page.forEach { transcript.add($0, $1) }
                if page.isLast { return (transcript, nil) }
                cursor = page.next
            }
        } catch {
            return (transcript, error)
        }
    }

    static let runs: [FragmentRun] = {
        var sample = SampleLog(seed: 110)
        return (0..<8).map { _ in sample.run(fragments: 150) }
    }()

    @Test(arguments: suffixes)
    func `a file that is cut anywhere gives a beginning, or an error`(_ suffix: String) async throws {
        try await withScratchDirectory { path in
            let job = JobID(high: 1, low: 2)
            let image = try await image(in: path, job, Self.runs)
            let whole = Transcript(Self.runs)
            let size = try #require(image[suffix]?.count)
            var random = SeededGenerator(seed: 111)
            // At pages and frames, beside them, and anywhere.
            var cuts = stride(from: 0, through: size, by: suffix.isEmpty ? 16_384 : 16_408).flatMap {
                [$0, $0 + 1, $0 + 32]
            }
            cuts += (0..<25).map { _ in Int.random(in: 0..<size, using: &random) }
            for cut in cuts where cut < size {
                var torn = image
                torn[suffix] = Array(torn[suffix]?.prefix(cut) ?? [])
                let file = "\(path)/logs.db"
                try write(torn, to: file)
                let found = await read(file, job)
                #expect(found.transcript.isPrefix(of: whole), "\(cut) bytes")
                // Of the journal the rest may be lost, which is what was not committed; of the database nothing may.
                if suffix.isEmpty, cut > 0 { #expect(found.error != nil || found.transcript == whole, "\(cut) bytes") }
            }
        }
    }

    @Test(arguments: suffixes)
    func `a bit that flips anywhere gives no other byte`(_ suffix: String) async throws {
        try await withScratchDirectory { path in
            let job = JobID(high: 1, low: 2)
            let image = try await image(in: path, job, Self.runs)
            let whole = Transcript(Self.runs)
            let size = try #require(image[suffix]?.count)
            var random = SeededGenerator(seed: 112)
            for turn in 0..<150 {
                var damaged = image
                // Half of them where the structure of pages is.
                let page = Int.random(in: 0..<max(1, size / 16_384), using: &random) * 16_384
                let place =
                    turn % 2 == 0
                    ? page + Int.random(in: 0..<200, using: &random) : .random(in: 0..<size, using: &random)
                damaged[suffix]?[min(place, size - 1)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                let file = "\(path)/logs.db"
                try write(damaged, to: file)
                let found = await read(file, job)
                #expect(found.transcript.isPrefix(of: whole), "byte \(place)")
            }
        }
    }

    @Test func `what can be read of a damaged database is recovered, and all of it is right`() async throws {
        try await withScratchDirectory { path in
            let job = JobID(high: 1, low: 2)
            let image = try await image(in: path, job, Self.runs)
            let whole = Transcript(Self.runs)
            let size = try #require(image[""]?.count)
            var random = SeededGenerator(seed: 113)
            var recovered = 0
            for turn in 0..<40 {
                var damaged = image
                let page = turn % (size / 16_384)
                for _ in 0..<20 {
                    damaged[""]?[page * 16_384 + Int.random(in: 0..<16_384, using: &random)] ^= 0xff
                }
                let file = "\(path)/logs.db"
                try write(damaged, to: file)
                for suffix in ["", "-wal", "-shm"]
                where FileManager.default.fileExists(atPath: "\(file).damaged\(suffix)") {
                    try FileManager.default.removeItem(atPath: "\(file).damaged\(suffix)")
                }
                _ = try await SQLiteLogStore.recover(path: file)
                #expect(FileManager.default.fileExists(atPath: "\(file).damaged"))
                let store = try SQLiteLogStore(path: file)
                #expect(try await store.integrityProblems().isEmpty)
                try await store.repair { _ in }
                guard try await store.end(of: job) != nil else { continue }
                #expect(try await LogVerification(of: store).check(job).problems.isEmpty)
                let left = try await store.transcript(of: LogQuery(job: job))
                left.forEach { fragment, bytes in
                    guard fragment.count > 0 else { return }
                    #expect(bytes == whole.bytes[Int(fragment.position)..<Int(fragment.end)])
                }
                if left.bytes.count > whole.bytes.count / 4 { recovered += 1 }
            }
            #expect(recovered > 20)
        }
    }

    @Test func `records are recovered from a damaged database`() async throws {
        try await withScratchDirectory { path in
            let file = "\(path)/jobs.db"
            var ids: [JobID: JobRecord] = [:]
            do {
                let store = try SQLiteJobStore(path: file)
                for index in 0..<400 {
                    let record = JobRecord(
                        id: JobID(high: UInt64(index) << 32, low: 1), node: NodeIdentity(id: "n", incarnation: "i"),
                        specification: JobSpecification(command: "/bin/true"), createdAt: Int64(index))
                    ids[record.id] = record
                }
                try await store.put(ids.values.sorted { $0.createdAt < $1.createdAt })
                try await store.delete(JobID(high: 1, low: 2), version: 4)
                try await store.database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
                try store.database.close()
            }
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
            // A page in the middle, which holds records or an index of them.
            let page = bytes.count / 4096 / 2
            bytes.replaceSubrange(page * 4096..<(page + 1) * 4096, with: [UInt8](repeating: 0xa5, count: 4096))
            try Data(bytes).write(to: URL(fileURLWithPath: file))
            let damaged = try SQLiteJobStore(path: file)
            #expect(try await !damaged.integrityProblems().isEmpty)
            try damaged.database.close()
            let count = try await SQLiteJobStore.recover(path: file)
            #expect(count > 350)
            let store = try SQLiteJobStore(path: file)
            #expect(try await store.integrityProblems().isEmpty)
            let records = try await store.list(JobQuery(), after: nil, limit: 1000).records
            #expect(records.count == count)
            for record in records { #expect(record == ids[record.id]) }
        }
    }
}
