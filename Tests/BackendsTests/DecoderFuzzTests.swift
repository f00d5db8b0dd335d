import Foundation
import GRDB
import Storage
import StorageConformance
import TestSupport
import Testing

@testable import Backends

/// Decoders take any bytes: they find what makes sense, or nothing, and never trap.
@Suite final class DecoderFuzzTests {
    private let gzip = Gzip()
    private let job = JobID(high: 3, low: 4)

    private func member(_ text: [UInt8]) -> [UInt8] {
        var member: [UInt8] = []
        text.withUnsafeBytes { gzip.compress($0, into: &member) }
        return member
    }

    /// The bytes with some of them changed, removed, doubled or cut off.
    private func mutated(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            switch random.next() % 6 {
            case 0: bytes[place] ^= 1 << UInt8(random.next() % 8)
            case 1: bytes[place] = [0, 0xff, 0x7f, 0x80].randomElement(using: &random) ?? 0
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(contentsOf: random.bytes(Int(random.next() % 9)), at: place)
            case 4: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 40)], at: place)
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }

    private func withFile(_ body: (String) async throws -> Void) async throws {
        try await withScratchDirectory { path in try await body("\(path)/file") }
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test func `the reader of gzip members`() async throws {
        try await withFile { path in
            var random = SeededGenerator(seed: 120)
            let texts = (0..<6).map { _ in random.bytes(Int.random(in: 0...3000, using: &random)) }
            let whole = texts.flatMap { member($0) }
            for turn in 0..<600 {
                try write(turn == 0 ? whole : turn % 5 == 0 ? random.bytes(500) : mutated(whole, &random), to: path)
                guard var reader = try GzipReader.open(path) else {
                    Issue.record("the file is not there")
                    return
                }
                var text: [UInt8] = []
                var found = 0
                var steps = 0
                reading: while steps < 20_000 {
                    steps += 1
                    switch try reader.next() {
                    case .text(let piece): text += piece
                    case .memberEnd:
                        // Its checksum was right, so it is one of those that were written.
                        #expect(texts.contains(text))
                        found += 1
                        text = []
                    case .damaged, .truncated:
                        text = []
                        if try !reader.seekMember() { break reading }
                    case .end: break reading
                    }
                }
                #expect(steps < 20_000)
                if turn == 0 { #expect(found == texts.count) }
            }
        }
    }

    @Test func `the replacement of small blocks`() {
        var random = SeededGenerator(seed: 121)
        var sample = SampleLog(seed: 122)
        var block = BlockCodec().encode(LogBlock(sample.run(fragments: 30)))
        block.move(stdout: 20, stderr: 20)
        let merge = BlockMerge(offset: 32, record: block.record, stdout: block.stdout, stderr: block.stderr)
        let whole = merge.encoded(for: job)
        #expect(BlockMerge(whole, for: job) == merge)
        #expect(BlockMerge(whole, for: JobID(high: 3, low: 5)) == nil)
        for _ in 0..<5000 {
            let bytes = mutated(whole, &random)
            if let found = BlockMerge(bytes, for: job) { #expect(found == merge) }
            // The checksum right, the values not.
            var signed = Array(bytes.dropLast(4))
            signed += withUnsafeBytes(of: signed.withUnsafeBytes { crc32($0) }.littleEndian, Array.init)
            if let found = BlockMerge(signed, for: job) {
                #expect(found.record.count + found.stdout.count + found.stderr.count + 40 == signed.count)
            }
        }
    }

    @Test func `the list of deleted jobs`() async throws {
        try await withScratchDirectory { path in
            var random = SeededGenerator(seed: 123)
            let jobs = (0..<20).map { _ in JobID(high: random.next(), low: random.next()) }
            let deleted = try DeletedJobs(in: path, durability: .process)
            for job in jobs { try deleted.insert(job) }
            let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(path)/deleted")))
            for _ in 0..<500 {
                try write(mutated(whole, &random), to: "\(path)/deleted")
                let found = try DeletedJobs(in: path, durability: .process).jobs
                #expect(found.isSubset(of: jobs))
            }
        }
    }

    @Test func `files of the original`() async throws {
        try await withScratchDirectory { path in
            var random = SeededGenerator(seed: 124)
            let directory = "\(path)/\(job)"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let lines = (0..<30).map { index in
                let content = Data("line \(index)\n".utf8).base64EncodedString()
                return "{\"stream\":\(1 + index % 2),\"timestamp\":\(index)000000000,\"content\":\"\(content)\"}\n"
            }
            let sample = "{\"timestamp\":1700000000,\"data\":{\"cpu_usage\":1e3,\"disk_io\":{\"read_ops\":5}}}\n"
            for turn in 0..<300 {
                // Damage within the JSON, and damage of the members.
                let text = turn % 2 == 0 ? mutated(Array(lines.joined().utf8), &random) : Array(lines.joined().utf8)
                let file = member(text) + member(Array(lines[3].utf8))
                try write(turn % 2 == 0 ? file : mutated(file, &random), to: "\(directory)/stdout.log.gz")
                try write(member(mutated(Array(sample.utf8), &random)), to: "\(directory)/metrics.jsonl.gz")
                let store = MemoryLogStore()
                let importing = OriginalImport(directory: path)
                let report = try await importing.logs(into: store)
                #expect(report.failures.isEmpty)
                #expect(try await LogVerification(of: store).run().damagedJobs == 0)
                #expect(try await importing.metrics(into: MemoryMetricStore()).failures.isEmpty)
            }
        }
    }

    @Test func `blocks of a database`() async throws {
        try await withScratchDirectory { path in
            var random = SeededGenerator(seed: 125)
            let store = try SQLiteLogStore(path: "\(path)/logs.db")
            var sample = SampleLog(seed: 126)
            let runs = sample.runs(3, fragments: 40)
            for run in runs {
                try await store.append(run, to: job)
                _ = try await store.sync([job])
            }
            let whole = Transcript(runs)
            let rows = try await store.database.read { db in try Rows(db) }
            for _ in 0..<400 {
                var choice = SeededGenerator(seed: random.next())
                let damaged = rows.mutated(&choice) { self.mutated($0, &random) }
                try await store.database.write { db in try damaged.write(to: db) }
                let reader = try SQLiteLogStore(path: "\(path)/logs.db")
                var found = Transcript()
                do {
                    var cursor = LogCursor.start
                    while true {
                        let page = try await reader.read(LogQuery(job: job), after: cursor, maxBytes: 300)
                        page.forEach { found.add($0, $1) }
                        if page.isLast { break }
                        cursor = page.next
                    }
                } catch let error as StorageError {
                    #expect(error == .notFound || Optional(error).isCorrupt)
                }
                #expect(found.isPrefix(of: whole))
            }
        }
    }
}
