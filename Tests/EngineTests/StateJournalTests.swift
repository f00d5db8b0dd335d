import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

/// What stays in the journal, and for how long.
struct StateJournalTests {
    private static let node = NodeIdentity(id: "node", incarnation: "first")

    /// A record of 64 KiB: some dozens fill a file.
    private func record(_ id: JobID = .random(), bytes: Int = 64 << 10) -> JobRecord {
        var specification = JobSpecification(command: "true")
        specification.arguments = [String(repeating: "x", count: bytes)]
        return JobRecord(id: id, node: Self.node, specification: specification, createdAt: 1)
    }

    /// Appends records, ships them, and lets go of them, until so many bytes were written.
    private func turn(_ journal: StateJournal, bytes: Int) async throws {
        for _ in 0..<(bytes >> 16) {
            let entry = try await journal.append(.record(record()), durability: .process)
            await journal.shipped([entry])
            _ = journal.release(entry.entry.job)
        }
    }

    private func files(_ directory: TemporaryDirectory) throws -> [String] {
        try Directory.names(in: directory.path + "/journal")
    }

    private func journal(_ directory: TemporaryDirectory) throws -> StateJournal {
        try StateJournal(directory: directory.path + "/journal")
    }

    /// What a daemon would find that started now.
    private func recovered(_ directory: TemporaryDirectory) async throws -> [JournalEntry] {
        let copy = try TemporaryDirectory()
        try FileManager.default.copyItem(atPath: directory.path + "/journal", toPath: copy.path + "/journal")
        return await (try journal(copy)).recovered.map(\.entry)
    }

    @Test(arguments: Durability.allCases)
    func `records of jobs that last stay while files come and go`(durability: Durability) async throws {
        let directory = try TemporaryDirectory()
        let first = try journal(directory)
        var kept: [JobRecord] = []
        for number in 0..<20 {
            var record = record(bytes: 100 << number % 8)
            kept.append(record)
            var entries = [try await first.append(.record(record), durability: durability)]
            record.version = 2
            entries.append(try await first.append(.record(record), durability: durability))
            kept[number] = record
            await first.shipped(entries)
        }
        try await turn(first, bytes: 9 << 20)
        #expect(try files(directory).count <= 2)
        let second = try journal(directory)
        let left = await second.recovered
        await second.shipped(left)
        let jobs = Set(kept.map(\.id))
        for item in left where !jobs.contains(item.entry.job) { _ = second.release(item.entry.job) }
        try await turn(second, bytes: 5 << 20)
        let found = try await recovered(directory)
        for record in kept { #expect(found.last { $0.job == record.id } == .record(record)) }
        #expect(try files(directory).count <= 2)
    }

    @Test func `more than a file can carry goes over in parts`() async throws {
        let directory = try TemporaryDirectory()
        let journal = try journal(directory)
        var entries: [JournaledEntry] = []
        for _ in 0..<100 { entries.append(try await journal.append(.record(record()), durability: .process)) }
        await journal.shipped(entries)
        try await turn(journal, bytes: 24 << 20)
        // Twice what is kept, and what is being written.
        #expect(try files(directory).count <= 5)
        let found = Set(try await recovered(directory))
        #expect(entries.allSatisfy { found.contains($0.entry) })
        for entry in entries { _ = journal.release(entry.entry.job) }
        try await turn(journal, bytes: 5 << 20)
        #expect(try files(directory).count <= 2)
    }

    @Test(arguments: Durability.allCases)
    func `no record is found behind its tombstone, wherever files end`(durability: Durability) async throws {
        let directory = try TemporaryDirectory()
        let journal = try journal(directory)
        for filling in [1 << 20, 4 << 20] {
            let record = record()
            await journal.shipped([try await journal.append(.record(record), durability: durability)])
            try await turn(journal, bytes: filling)
            let tombstone = try await journal.append(.deleted(record.id, version: 2), durability: durability)
            try await turn(journal, bytes: 5 << 20)
            let found = try await recovered(directory).filter { $0.job == record.id }
            #expect(found.last == tombstone.entry)
            await journal.shipped([tombstone])
            let left = try await recovered(directory).filter { $0.job == record.id }
            #expect(left.isEmpty)
        }
    }
}
