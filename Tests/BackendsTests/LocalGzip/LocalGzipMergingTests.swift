import Foundation
import Storage
import StorageConformance
import Testing

@testable import Backends

/// Many small blocks become one, and a crash in the middle of that changes nothing.
@Suite struct LocalGzipMergingTests {
    /// As many small runs as are merged at once.
    static let runs: [FragmentRun] = {
        var sample = SampleLog(seed: 40)
        return (0..<32).map { _ in sample.run(fragments: 3) }
    }()

    @Test(arguments: [Durability.process, .power])
    func `a thousand small syncs leave few blocks`(_ durability: Durability) async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open(durability)
            var sample = SampleLog(seed: 41)
            let runs = (0..<1000).map { _ in sample.run(fragments: 4) }
            for run in runs {
                try await store.append(run, to: logs.job)
                #expect(try await store.sync([logs.job]) == [logs.job: run.end])
            }
            let whole = Transcript(runs)
            #expect(try await store.transcript(of: LogQuery(job: logs.job)) == whole)
            #expect(try await logs.open().transcript(of: LogQuery(job: logs.job), maxBytes: 1000) == whole)
            #expect(try zcat(logs.path("stdout.log.gz")) == whole.bytes(of: .stdout))
            #expect(try zcat(logs.path("stderr.log.gz")) == whole.bytes(of: .stderr))
            let blocks = try blocks(logs)
            #expect(blocks.count < 32 + whole.bytes.count / 32_768 + 1)
            #expect(!FileManager.default.fileExists(atPath: logs.path("merge")))
        }
    }

    @Test func `blocks on both sides of lost bytes stay apart`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open()
            var position: UInt64 = 0
            for turn in 0..<70 {
                try await store.append(FragmentRun("a\n", at: position, time: Int64(turn)), to: logs.job)
                _ = try await store.sync([logs.job])
                position += 2
                if turn == 20 {
                    try await store.skip(to: 1000, of: logs.job, time: Int64(turn))
                    position = 1000
                }
            }
            #expect(try await store.statistics(of: logs.job).bytes == 140)
            #expect(try blocks(logs).filter { $0.header.start.position < 1000 }.count == 21)
            #expect(try blocks(logs).count < 21 + 32)
        }
    }

    @Test func `a damaged block is left where it is`() async throws {
        try await LogDirectoryFixture.with { logs in
            try seal(Self.runs.dropLast(), logs)
            var bytes = try logs.bytes("stdout.log.gz")
            bytes[bytes.count / 2] ^= 1
            try logs.write(bytes, to: "stdout.log.gz")
            let store = try logs.open()
            try await store.append(Self.runs[31], to: logs.job)
            #expect(try await store.sync([logs.job]) == [logs.job: Self.runs[31].end])
            #expect(try blocks(logs).count == 32)
            #expect(try await logs.readUntilDamage().damage.isCorrupt)
        }
    }

    @Test func `a merge that is interrupted anywhere is undone or ended`() async throws {
        try await LogDirectoryFixture.with { logs in
            try seal(Self.runs[...], logs)
            let before = try logs.snapshot()
            // A sync merges what is there.
            _ = try await logs.open().sync([logs.job])
            let after = try logs.snapshot()
            let merge = try merge(in: after)
            let whole = Transcript(Self.runs)

            let written = merge.encoded(for: logs.job)
            for count in stride(from: 0, to: written.count, by: 7) {
                try logs.restore(before)
                try logs.write(written[..<count], to: "merge")
                #expect(try await logs.readUntilDamage().transcript == whole, "\(count) bytes written down")
                #expect(try logs.snapshot() == before)
            }
            for step in interruptions(from: before, to: after, merge) {
                try logs.restore(step)
                try logs.write(written, to: "merge")
                #expect(try await logs.readUntilDamage().transcript == whole)
                #expect(try logs.snapshot() == after)
                #expect(!FileManager.default.fileExists(atPath: logs.path("merge")))
            }
        }
    }

    @Test func `a merge that was ended is not made again over later blocks`() async throws {
        try await LogDirectoryFixture.with { logs in
            try seal(Self.runs[...], logs)
            let store = try logs.open()
            _ = try await store.sync([logs.job])
            let merge = try merge(in: logs.snapshot())
            let news = FragmentRun("later\n", at: Self.runs[31].end, time: .max)
            try await store.append(news, to: logs.job)
            _ = try await store.sync([logs.job])
            try logs.write(merge.encoded(for: logs.job), to: "merge")
            #expect(try await logs.readUntilDamage().transcript == Transcript(Self.runs + [news]))
            #expect(!FileManager.default.fileExists(atPath: logs.path("merge")))
        }
    }

    @Test func `what is no merge of this job is passed over`() throws {
        let merge = BlockMerge(offset: 32, record: [], stdout: [], stderr: [])
        #expect(BlockMerge(merge.encoded(for: .random()), for: .random()) == nil)
        var sample = SampleLog(seed: 42)
        let job = JobID.random()
        for count in 0..<400 {
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: sample.next()) }
            if count >= 24 { bytes.replaceSubrange(0..<24, with: merge.encoded(for: job)[..<24]) }
            if count >= 4 {
                let crc = bytes.dropLast(4).withUnsafeBytes { crc32($0) }
                bytes.replaceSubrange((count - 4)..., with: withUnsafeBytes(of: crc.littleEndian, Array.init))
            }
            #expect(BlockMerge(bytes, for: job) == nil)
        }
    }

    /// Writes runs as one block each, without a sync: nothing is merged.
    private func seal(_ runs: ArraySlice<FragmentRun>, _ logs: LogDirectoryFixture) throws {
        let log = JobLog(
            job: logs.job, files: LogFiles(of: logs.job, in: logs.root), durability: .process, codec: BlockCodec())
        for run in runs {
            try log.refresh()
            try log.append(run)
            try log.seal()
        }
    }

    private func blocks(_ logs: LogDirectoryFixture) throws -> [LogIndex.Block] {
        try #require(try LogFiles(of: logs.job, in: logs.root).loadIndex(of: logs.job)).blocks
    }

    /// The replacement that made the only block of these files.
    private func merge(in files: [String: [UInt8]]) throws -> BlockMerge {
        let index = try #require(files["index"])
        let merge = BlockMerge(
            offset: 32, record: Array(index[32...]), stdout: Array(try #require(files["stdout.log.gz"])[20...]),
            stderr: Array(try #require(files["stderr.log.gz"])[20...]))
        try #require(merge.header?.recordLength == UInt64(index.count - 32))
        return merge
    }

    /// States between two snapshots, in the order of the writes: each file is cut, then grows again.
    private func interruptions(
        from before: [String: [UInt8]], to after: [String: [UInt8]], _ merge: BlockMerge
    ) -> [[String: [UInt8]]] {
        var states: [[String: [UInt8]]] = [before]
        var files = before
        for (name, kept) in [("stdout.log.gz", 20), ("stderr.log.gz", 20), ("index", 32)] {
            let goal = after[name] ?? []
            for count in stride(from: kept, to: goal.count, by: 37) {
                files[name] = Array(goal[..<count])
                states.append(files)
            }
            files[name] = goal
            states.append(files)
        }
        return states
    }
}
