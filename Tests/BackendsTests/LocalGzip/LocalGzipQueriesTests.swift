import Backends
import Foundation
import Storage
import StorageConformance
import Testing

/// Queries read no more than they need: everything else is destroyed, and they do not notice.
@Suite struct LocalGzipQueriesTests {
    static let runs: [FragmentRun] = {
        var sample = SampleLog(seed: 8)
        return (0..<10).map { _ in sample.run(fragments: 20, gaps: false) }
    }()

    @Test func `a query of one stream reads only that stream's file`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks(Self.runs)
            try FileManager.default.removeItem(atPath: logs.path("stderr.log.gz"))
            let query = LogQuery(job: logs.job, streams: [.stdout])
            #expect(try await logs.open().transcript(of: query) == Transcript(Self.runs).filtered(query))
        }
    }

    @Test func `queries of times and positions and the tail read only their blocks`() async throws {
        try await LogDirectoryFixture.with { logs in
            // One block at a time is written, so the files' lengths are the members' places.
            var lengths: [[Int]] = []
            for count in 1...Self.runs.count {
                try await logs.writeBlocks(Array(Self.runs[..<count]))
                lengths.append(try ["stdout.log.gz", "stderr.log.gz"].map { try logs.bytes($0).count })
            }
            for (index, name) in ["stdout.log.gz", "stderr.log.gz"].enumerated() {
                var bytes = try logs.bytes(name)
                for place in bytes.indices where !(lengths[5][index]..<lengths[6][index]).contains(place) {
                    bytes[place] = 0xff
                }
                try logs.write(bytes, to: name)
            }
            let run = Self.runs[6]
            let store = try logs.open()
            let (first, last) = (try #require(run.fragments.first), try #require(run.fragments.last))
            let times = LogQuery(job: logs.job, since: first.time + 1, until: last.time - 1)
            #expect(!Transcript(Self.runs).filtered(times).bytes.isEmpty)
            #expect(try await store.transcript(of: times) == Transcript(Self.runs).filtered(times))
            let stop = LogQuery(job: logs.job, endPosition: run.end)
            #expect(try await store.transcript(of: stop, after: LogCursor(position: run.start)) == Transcript([run]))
            #expect(try await store.cursor(forLast: 3, of: stop) == LogCursor(position: run.start))
            #expect(try await store.statistics(of: logs.job).bytes == Self.runs[9].end)
        }
    }

    @Test func `pages smaller than a block do not inflate it again`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open()
            try await store.append(Self.runs[0], to: logs.job)
            _ = try await store.sync([logs.job])
            let first = try await store.read(LogQuery(job: logs.job), after: .start, maxBytes: 50)
            // Damaged in place, unknown to the store: only a page that comes from memory is still right.
            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: logs.path("stdout.log.gz")))
            try handle.seek(toOffset: 30)
            try handle.write(contentsOf: Data([0, 0, 0, 0]))
            try handle.close()
            let rest = try await store.transcript(of: LogQuery(job: logs.job), after: first.next, maxBytes: 50)
            #expect(first.bytes + rest.bytes == Self.runs[0].bytes)
            let read = try await logs.readUntilDamage()
            #expect(read.damage.isCorrupt)
        }
    }
}
