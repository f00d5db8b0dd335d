import Backends
import Storage
import StorageConformance
import Testing

@Suite struct LocalGzipRecoveryTests {
    /// Four small blocks of both streams, with gap notes.
    static let runs: [FragmentRun] = {
        var sample = SampleLog(seed: 6)
        return (0..<4).map { _ in sample.run(fragments: 10) }
    }()

    /// What a crash leaves of the last commit, in the order in which it is written.
    enum Torn: String, CaseIterable {
        case stdout, stderr, index
    }

    @Test(arguments: Torn.allCases)
    func `a commit that is torn anywhere is cut, and comes again`(_ torn: Torn) async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Array(Self.runs.dropLast()))
            let before = try logs.snapshot()
            try await logs.writeBlocks(Self.runs)
            let after = try logs.snapshot()
            let committed = Transcript(Array(Self.runs.dropLast()))
            let name = torn == .index ? "index" : "\(torn).log.gz"
            let (first, last) = (try #require(before[name]?.count), try #require(after[name]?.count))
            #expect(last > first)
            for count in first..<last {
                var files = torn == .index ? after : before
                if torn == .stderr { files["stdout.log.gz"] = after["stdout.log.gz"] }
                files[name] = Array(try #require(after[name])[..<count])
                try logs.restore(files)
                let store = try logs.open()
                #expect(try await store.transcript(of: LogQuery(job: logs.job)) == committed, "\(count) bytes")
                #expect(try await store.end(of: logs.job) == Self.runs[3].start)
                try await store.append(Self.runs, to: logs.job)
                #expect(try await store.sync([logs.job]) == [logs.job: Self.runs[3].end])
                #expect(try logs.snapshot() == after)
            }
        }
    }

    @Test(arguments: ["stdout.log.gz", "stderr.log.gz"])
    func `a commit whose members were not kept is damage to a reader and comes again`(_ name: String) async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Array(Self.runs.dropLast()))
            let before = try logs.bytes(name).count
            try await logs.writeBlocks(Self.runs)
            let after = try logs.snapshot()
            let whole = Transcript(Self.runs)
            for count in before..<(after[name]?.count ?? 0) {
                try logs.restore(after)
                try logs.write(try #require(after[name])[..<count], to: name)
                let read = try await logs.readUntilDamage()
                #expect(read.transcript.isPrefix(of: whole))
                #expect(read.damage.isCorrupt)
                let store = try logs.open()
                try await store.append(Self.runs, to: logs.job)
                _ = try await store.sync([logs.job])
                #expect(try logs.snapshot() == after)
            }
        }
    }

    @Test func `the beginning of a log that is torn anywhere is begun again`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks([Self.runs[0]])
            let files = try logs.snapshot()
            for count in 0...32 {
                try logs.restore(files)
                try logs.write(try #require(files["index"])[..<count], to: "index")
                let store = try logs.open()
                #expect(try await store.end(of: logs.job) == nil)
                try await store.append(Self.runs[0], to: logs.job)
                _ = try await store.sync([logs.job])
                #expect(try logs.snapshot() == files)
            }
        }
    }

    @Test func `pages of zeros behind the last commit are cut`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let files = try logs.snapshot()
            for name in LogDirectoryFixture.fileNames {
                try logs.write(try #require(files[name]) + [UInt8](repeating: 0, count: 4096), to: name)
            }
            let store = try logs.open()
            #expect(try await store.transcript(of: LogQuery(job: logs.job)) == Transcript(Self.runs))
            try await store.append(Self.runs, to: logs.job)
            #expect(try logs.snapshot() == files)
        }
    }

    @Test(arguments: LogDirectoryFixture.fileNames)
    func `a bit that flips is damage, never another byte`(_ name: String) async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let files = try logs.snapshot()
            let whole = Transcript(Self.runs)
            var sample = SampleLog(seed: 7)
            let bits = try #require(files[name]).count * 8
            for _ in 0..<300 {
                let bit = Int.random(in: 0..<bits, using: &sample)
                var flipped = try #require(files[name])
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                try logs.restore(files)
                try logs.write(flipped, to: name)
                let read = try await logs.readUntilDamage()
                #expect(read.transcript.isPrefix(of: whole), "bit \(bit)")
                #expect(read.transcript == whole || read.damage.isCorrupt, "bit \(bit)")
                try await appendAfterDamage(logs, whole)
            }
        }
    }

    /// A writer goes on as the contract says; what is then read of its new run is right.
    private func appendAfterDamage(_ logs: LogDirectoryFixture, _ whole: Transcript) async throws {
        let store = try logs.open()
        let end = Self.runs[3].end
        let news = FragmentRun("news\n", at: end, time: .max)
        do {
            try await store.append(news, to: logs.job)
        } catch StorageError.gap {
            try await store.append(Self.runs + [news], to: logs.job)
        } catch StorageError.corrupt {
            // The header of the index: nothing of it can be believed.
            return
        }
        #expect(try await store.sync([logs.job]) == [logs.job: end + 5])
        // Behind gap notes at the end, which may lie in the damaged block.
        let place = LogCursor(position: end, gaps: .max)
        let page = try await logs.open().read(LogQuery(job: logs.job), after: place, maxBytes: 99)
        #expect(page.bytes == Array("news\n".utf8))
    }

    @Test func `what lies before and behind damage is read`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            let whole = Transcript(Self.runs)
            var index = try logs.bytes("index")
            // Within the record of the second block, whose magic is its second in the file.
            let records = index.indices.filter { index[$0...].starts(with: Array("JLB1".utf8)) }
            index[records[1] + 20] ^= 4
            try logs.write(index, to: "index")
            let read = try await logs.readUntilDamage()
            #expect(read.transcript == Transcript([Self.runs[0]]))
            #expect(read.damage == .corrupt(place: "\(logs.job)/index at \(records[1])"))
            let behind = LogCursor(position: Self.runs[2].start)
            let rest = try await logs.open().transcript(of: LogQuery(job: logs.job), after: behind)
            #expect(rest.bytes == Array(whole.bytes[Int(behind.position)...]))
        }
    }
}

extension StorageError? {
    /// Whether damage was reported.
    var isCorrupt: Bool {
        if case .corrupt = self { true } else { false }
    }
}
