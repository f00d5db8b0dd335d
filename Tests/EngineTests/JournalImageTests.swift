import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

/// Journals that were cut or changed: opening gives every entry that is whole, and says where damage is.
@Suite struct JournalImageTests {
    private let root: TemporaryDirectory

    init() throws { root = try TemporaryDirectory() }

    private var path: String { "\(root.path)/journal" }

    private func entries(_ count: Int) -> [JournalEntry] {
        (0..<count).map { index in
            if index % 3 == 2 { return .deleted(JobID(high: UInt64(index), low: 1), version: UInt64(index)) }
            var specification = JobSpecification(command: "/bin/echo")
            specification.arguments = [String(repeating: "x", count: index)]
            return .record(
                JobRecord(
                    id: JobID(high: UInt64(index), low: 1), node: NodeIdentity(id: "n", incarnation: "i"),
                    specification: specification,
                    createdAt: Int64(index)))
        }
    }

    /// Writes the file of a journal, and nothing else.
    private func write(_ bytes: [UInt8], file: Int = 1) throws {
        try Directory.removeTree(path)
        try Directory.create(path)
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(file).journal"))
    }

    /// Places in the length, the checksum and the body of each entry, and the end.
    private func places(_ encoded: [[UInt8]]) -> [Int] {
        var start = 0
        return encoded.flatMap { entry in
            defer { start += entry.count }
            let inside = Array(0..<10) + stride(from: 10, to: entry.count, by: 37) + [entry.count - 1]
            return inside.map { start + $0 }
        } + [encoded.reduce(0) { $0 + $1.count }]
    }

    private func recovered() async throws -> (entries: [JournalEntry], damage: [String]) {
        let journal = try StateJournal(directory: path)
        return (await journal.recovered.map(\.entry), journal.damage)
    }

    @Test func `a journal that is cut anywhere keeps what was whole, and goes on`() async throws {
        let entries = entries(5)
        let encoded = entries.map { $0.encoded }
        let whole = encoded.flatMap { $0 }
        for cut in places(encoded) {
            try write(Array(whole[..<cut]))
            var kept = 0
            var end = 0
            while kept < encoded.count, end + encoded[kept].count <= cut {
                end += encoded[kept].count
                kept += 1
            }
            let journal = try StateJournal(directory: path)
            #expect(await journal.recovered.map(\.entry) == Array(entries[..<kept]), "\(cut) bytes")
            #expect(journal.damage == [])
            _ = try await journal.append(entries[4], durability: .power)
            #expect(try await recovered().entries == entries[..<kept] + [entries[4]], "\(cut) bytes")
        }
    }

    @Test func `a bit that flips anywhere costs the entry that it is in, and is told`() async throws {
        let entries = entries(5)
        let encoded = entries.map { $0.encoded }
        let whole = encoded.flatMap { $0 }
        for place in places(encoded).dropLast() {
            var bytes = whole
            bytes[place] ^= 1 << UInt8(place % 8)
            try write(bytes)
            var lost = 0
            var start = 0
            while start + encoded[lost].count <= place {
                start += encoded[lost].count
                lost += 1
            }
            let found = try await recovered()
            var left = entries
            left.remove(at: lost)
            #expect(found.entries == left, "byte \(place)")
            // Damage at the end cannot be told from an entry that was being written.
            let told = lost == 4 ? [] : ["1.journal, \(encoded[lost].count) bytes at \(start)"]
            #expect(found.damage == told)
            // It is told again as long as the file is there.
            #expect(try await recovered().damage == told)
        }
    }

    @Test func `stretches of zeros and of garbage cost no entry beside them`() async throws {
        let entries = entries(6)
        let encoded = entries.map { $0.encoded }
        var generator = SeededGenerator(seed: 130)
        for filling in [[UInt8](repeating: 0, count: 4096), generator.bytes(5000), [0], [7, 0, 0, 0]] {
            try write(filling + encoded[..<3].flatMap { $0 } + filling + encoded[3...].flatMap { $0 } + filling)
            let found = try await recovered()
            #expect(found.entries == entries)
            #expect(found.damage.count == 2)
        }
    }

    @Test func `damage in one file costs nothing of the next`() async throws {
        let entries = entries(4)
        let encoded = entries.map { $0.encoded }
        try write(Array((encoded[0] + encoded[1]).dropLast(3)))
        try Data(encoded[2] + encoded[3]).write(to: URL(fileURLWithPath: "\(path)/2.journal"))
        #expect(try await recovered().entries == [entries[0], entries[2], entries[3]])
    }
}
