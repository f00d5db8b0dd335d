import Backends
import Foundation
import Storage
import StorageConformance
import Testing

@Suite struct LocalGzipRepairTests {
    /// Five blocks of both streams.
    static let runs: [FragmentRun] = {
        var sample = SampleLog(seed: 100)
        return (0..<5).map { _ in sample.run(fragments: 12) }
    }()

    private func repair(_ store: any RepairableStore) async throws -> [JobRepair] {
        let repairs = Collected<JobRepair>()
        try await store.repair { repairs.add($0) }
        return repairs.all
    }

    @Test func `a sound log stays as it is`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let files = try logs.snapshot()
            #expect(try await repair(logs.open()) == [JobRepair(job: logs.job, outcome: .sound)])
            #expect(try logs.snapshot() == files)
        }
    }

    @Test(arguments: ["stdout.log.gz", "stderr.log.gz", "index"])
    func `damaged blocks become notes, and all else is there`(_ name: String) async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let files = try logs.snapshot()
            let whole = Transcript(Self.runs)
            var sample = SampleLog(seed: 101)
            for _ in 0..<60 {
                var bytes = try #require(files[name])
                // Behind the header of the index, which is another case.
                for _ in 0..<Int.random(in: 1...3, using: &sample) {
                    bytes[Int.random(in: 32..<bytes.count, using: &sample)] ^= 1 << UInt8(sample.next() % 8)
                }
                try logs.restore(files)
                try logs.write(bytes, to: name)
                let repaired = try await repair(logs.open())
                let store = try logs.open()
                let report = try await LogVerification(of: store).check(logs.job)
                #expect(report.problems.isEmpty)
                let left = try await store.transcript(of: LogQuery(job: logs.job))
                #expect(try zcat(logs.path("stdout.log.gz")) == left.bytes(of: .stdout))
                #expect(try zcat(logs.path("stderr.log.gz")) == left.bytes(of: .stderr))
                #expect(try await repair(logs.open()).first?.outcome == .sound)
                if case .rebuilt(let count) = repaired.first?.outcome {
                    // The record of the last block was lost, and its text was not.
                    #expect(name == "index")
                    #expect(UInt64(left.bytes.count) == count)
                    for stream in LogStream.allCases {
                        #expect(whole.bytes(of: stream).suffix(20) == left.bytes(of: stream).suffix(20))
                    }
                    continue
                }
                // Every byte that is left is the one that was at its position.
                left.forEach { fragment, bytes in
                    guard fragment.count > 0 else { return }
                    #expect(bytes == whole.bytes[Int(fragment.position)..<Int(fragment.end)])
                }
                guard case .mended(let lost) = repaired.first?.outcome else {
                    #expect(repaired.first?.outcome == .sound)
                    #expect(left == whole)
                    continue
                }
                // Damage behind the last whole record is cut, and the writer is told where to go on.
                let end = try await store.end(of: logs.job) ?? 0
                #expect(UInt64(left.bytes.count) == end - lost)
            }
        }
    }

    @Test func `zeros in the middle of the index are damage, and hide nothing behind them`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let whole = Transcript(Self.runs)
            var index = try logs.bytes("index")
            let start = try #require(index[33...].firstRange(of: BlockHeader.magic)?.lowerBound)
            let next = try #require(index[(start + 1)...].firstRange(of: BlockHeader.magic)?.lowerBound)
            index.replaceSubrange(start..<next, with: repeatElement(0, count: next - start))
            try logs.write(index, to: "index")
            #expect(try await LogVerification(of: logs.open()).check(logs.job).problems != [])
            guard case .mended(let lost) = try await repair(logs.open()).first?.outcome else {
                Issue.record("it was not seen")
                return
            }
            let left = try await logs.open().transcript(of: LogQuery(job: logs.job))
            #expect(lost > 0)
            #expect(UInt64(left.bytes.count) + lost == UInt64(whole.bytes.count))
            #expect(try await logs.open().end(of: logs.job) == Self.runs.last?.end)
        }
    }

    @Test(arguments: [1, 3]) func `text whose record is lost is found again`(blocks: Int) async throws {
        let texts = (0..<blocks).map { block in (0..<300).map { "line \(block) \($0)\n" }.joined() }
        for damage in ["flipped", "cut"] {
            try await LogDirectoryFixture.with { logs in
                var runs: [FragmentRun] = []
                for text in texts { runs.append(FragmentRun(text, at: runs.last?.end ?? 0)) }
                try await logs.writeBlocks(runs)
                var index = try logs.bytes("index")
                if damage == "cut" {
                    index.removeLast(30)
                } else {
                    index[index.count - 5] ^= 1
                }
                try logs.write(index, to: "index")
                #expect(try await logs.open().integrityProblems().count == 1)
                if blocks == 1, damage == "cut" {
                    await #expect(throws: StorageError.self) { try await logs.open().statistics(of: logs.job) }
                }
                let bytes = UInt64(texts.joined().utf8.count)
                #expect(try await repair(logs.open()) == [JobRepair(job: logs.job, outcome: .rebuilt(bytes: bytes))])
                let store = try logs.open()
                #expect(try await store.transcript(of: LogQuery(job: logs.job)).bytes == Array(texts.joined().utf8))
                #expect(try await store.integrityProblems() == [])
                #expect(try await repair(logs.open()).first?.outcome == .sound)
            }
        }
    }

    @Test func `a data file that ends too early costs what it lacks, and says so`() async throws {
        try await LogDirectoryFixture.with { logs in
            let runs = [FragmentRun("one\n"), FragmentRun("two and more\n", at: 4)]
            try await logs.writeBlocks(runs)
            let data = try logs.bytes("stdout.log.gz")
            try logs.write(data.dropLast(8), to: "stdout.log.gz")
            #expect(try await logs.open().integrityProblems().count == 1)
            #expect(try await repair(logs.open()) == [JobRepair(job: logs.job, outcome: .mended(lostBytes: 13))])
            let left = try await logs.open().transcript(of: LogQuery(job: logs.job))
            #expect(left.bytes == Array("one\n".utf8))
            #expect(left.fragments.last?.content == .dropped(bytes: 13))
            #expect(try await logs.open().end(of: logs.job) == 17)
        }
    }

    @Test(arguments: ["removed", "empty", "header", "other"])
    func `a lost index is made anew from the members`(_ loss: String) async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let whole = Transcript(Self.runs)
            switch loss {
            case "removed": try FileManager.default.removeItem(atPath: logs.path("index"))
            case "empty": try logs.write([], to: "index")
            case "header":
                var index = try logs.bytes("index")
                index[20] ^= 1
                try logs.write(index, to: "index")
            default: try logs.write([UInt8](repeating: 0x41, count: 400), to: "index")
            }
            let count = UInt64(whole.bytes.count)
            let expected = JobRepair(job: logs.job, outcome: .rebuilt(bytes: count))
            #expect(try await repair(logs.open()) == [expected])
            let store = try logs.open()
            let left = try await store.transcript(of: LogQuery(job: logs.job))
            #expect(left.bytes(of: .stdout) == whole.bytes(of: .stdout))
            #expect(left.bytes(of: .stderr) == whole.bytes(of: .stderr))
            #expect(try await store.end(of: logs.job) == Self.runs.last?.end)
            #expect(try await LogVerification(of: store).check(logs.job).problems.isEmpty)
        }
    }

    @Test func `of a lost index and a damaged member the rest is saved`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            try FileManager.default.removeItem(atPath: logs.path("index"))
            var bytes = try logs.bytes("stdout.log.gz")
            // The second block's member: behind the empty one and the first.
            let starts = bytes.indices.filter { bytes[$0...].starts(with: [0x1f, 0x8b, 8]) }
            bytes[starts[2] + 14] ^= 0xff
            try logs.write(bytes, to: "stdout.log.gz")
            _ = try await repair(logs.open())
            let left = try await logs.open().transcript(of: LogQuery(job: logs.job))
            var expected = Self.runs.map { Transcript([$0]).bytes(of: .stdout) }
            expected.remove(at: 1)
            #expect(left.bytes(of: .stdout) == expected.flatMap { $0 })
            #expect(left.fragments.filter { $0.count == 0 }.count == 1)
        }
    }

    @Test(arguments: [Durability.process, .power])
    func `a replacement that is interrupted anywhere is the old log or the new one`(
        _ durability: Durability
    ) async throws {
        try await LogDirectoryFixture.with { logs in
            let runs = SampleLog.largeRuns(seed: 102, count: 20)
            try await logs.writeBlocks(runs)
            let old = try logs.snapshot()
            let store = try logs.open(durability)
            let before = try await store.transcript(of: LogQuery(job: logs.job))
            _ = try await store.trim(logs.job, to: 100_000)
            let after = try await store.transcript(of: LogQuery(job: logs.job))
            let new = try logs.snapshot()
            func put(_ names: [String: [UInt8]?]) throws {
                for name in try FileManager.default.contentsOfDirectory(atPath: logs.path("")) {
                    try FileManager.default.removeItem(atPath: logs.path(name))
                }
                for (name, bytes) in names { if let bytes { try logs.write(bytes, to: name) } }
            }
            let (index, out, err) = ("index", "stdout.log.gz", "stderr.log.gz")
            // Before the decision: whatever is there of the new files.
            for part in [0, 10, 200, Int.max] {
                try put([
                    index: old[index], out: old[out], err: old[err],
                    "index.new": Array((new[index] ?? []).prefix(part)),
                    "\(out).new": Array((new[out] ?? []).prefix(part)), "\(err).new": part == 0 ? nil : new[err],
                ])
                #expect(try await logs.open().transcript(of: LogQuery(job: logs.job)) == before)
                #expect(try FileManager.default.contentsOfDirectory(atPath: logs.path("")).count == 3)
            }
            // Behind it: as far as the renaming came.
            for renamed in 0...2 {
                try put([
                    index: old[index], "replacement": new[index], out: renamed > 0 ? new[out] : old[out],
                    err: renamed > 1 ? new[err] : old[err], "\(out).new": renamed > 0 ? nil : new[out],
                    "\(err).new": renamed > 1 ? nil : new[err],
                ])
                #expect(try await logs.open().transcript(of: LogQuery(job: logs.job)) == after)
                #expect(try FileManager.default.contentsOfDirectory(atPath: logs.path("")).count == 3)
                #expect(try logs.snapshot() == new)
            }
        }
    }
}
