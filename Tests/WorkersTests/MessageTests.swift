import FoundationEssentials
import JobletAPI
import Storage
import StorageConformance
import SwiftProtobuf
import TestSupport
import Testing

@testable import Server

/// What goes over the wire comes out as it went in.
@Suite struct MessageTests {
    /// The message as the other side reads it.
    private func sent<Body: Message>(_ message: Body) throws -> Body {
        let bytes: [UInt8] = try message.serializedBytes()
        return try Body(serializedBytes: bytes)
    }

    @Test(arguments: [
        StorageError.notFound, .gap(expected: .max), .unavailable(reason: ""),
        .unavailable(reason: "naïve", retryAfter: 0), .unavailable(reason: "x", retryAfter: .max),
        .corrupt(place: "index:17"), .quota(reason: "disk"), .refused(reason: "tombstone"), .cancelled,
    ])
    func `failures are told exactly`(_ error: StorageError) throws {
        #expect(StorageError(try sent(error.message)) == error)
    }

    @Test(arguments: 0..<20) func `runs of fragments are told exactly`(seed: UInt64) throws {
        var sample = SampleLog(seed: seed)
        for run in sample.runs(5, fragments: 200) {
            #expect(try sent(Joblet_Ipc_AppendLog(run, job: .random())).run() == run)
        }
    }

    @Test func `pages with jumps, gaps and times of any sign are told exactly`() throws {
        let fragments = [
            Fragment(stream: .stderr, position: 7, time: .max, content: .bytes(count: 2)),
            Fragment(stream: .stdout, position: 9, time: .min, content: .dropped(bytes: .max)),
            Fragment(stream: .stdout, position: 1 << 63, time: -1, content: .bytes(count: 1)),
        ]
        let page = LogPage(
            fragments: fragments, bytes: [0, 255, 10], next: LogCursor(position: .max, gaps: .max), isLast: true)
        #expect(try LogPage(try sent(page.message)) == page)
        let empty = LogPage(next: .start, isLast: false)
        #expect(try LogPage(try sent(empty.message)) == empty)
    }

    @Test func `queries are told exactly`() throws {
        for streams in [Set<LogStream>(), [.stdout], [.stderr], [.stdout, .stderr]] {
            for bound in [nil, Int64.min, 0, .max] {
                let query = LogQuery(
                    job: .random(), streams: streams, since: bound, until: bound, endPosition: bound.map { _ in .max })
                #expect(LogQuery(try sent(query.message)) == query)
            }
        }
        var filtered = LogQuery(job: .random(), grep: LinePattern([0, 255]))
        filtered.endsLines = false
        #expect(LogQuery(try sent(filtered.message)) == filtered)
        let cursor = JobCursor(createdAt: .min, id: .random())
        for query in [
            JobQuery(), JobQuery(node: "", statuses: [], name: "", created: .min ... .max),
            JobQuery(node: "n", statuses: Set(JobStatus.allCases), name: "ü", created: 0...0),
        ] {
            let message = try sent(query.message(after: cursor, limit: 3))
            #expect(try JobQuery(message) == query)
            #expect(JobCursor(message.after) == cursor)
        }
        let metrics = MetricQuery(job: .random(), types: [.cpu, .gpu], since: -5, until: .max, endSequence: 0)
        #expect(try MetricQuery(try sent(metrics.message)) == metrics)
        let none = MetricQuery(job: .random(), types: [])
        #expect(try MetricQuery(try sent(none.message)) == none)
    }

    @Test func `samples are told exactly`() throws {
        let points = [
            MetricPoint(type: .cpu, values: ["cpu_user": 0, "cpu_total": -0.0, "least": .leastNonzeroMagnitude]),
            MetricPoint(type: .io, labels: ["device": "8:0", "": ""], values: [:]),
        ]
        let page = MetricPage(
            samples: [
                MetricSample(sequence: 0, time: .min, points: points),
                MetricSample(sequence: .max - 1, time: .max, points: []),
            ], next: .max, isLast: true)
        #expect(try MetricPage(try sent(page.message(limit: .max))) == page)
    }

    @Test func `a page of samples that is too long goes on with the next`() throws {
        let samples = (0..<100).map { number in
            MetricSample(
                sequence: number, time: 1,
                points: [MetricPoint(type: .cpu, values: [String(repeating: "x", count: 1000): 1])])
        }
        let page = try MetricPage(MetricPage(samples: samples, next: 100, isLast: true).message(limit: 10_000))
        #expect(page.samples == Array(samples.prefix(page.samples.count)))
        #expect((1..<10).contains(page.samples.count))
        #expect(page.next == UInt64(page.samples.count))
        #expect(!page.isLast)
    }

    @Test func `statistics and ends are told exactly`() throws {
        for times in [nil, Int64.min ... -1, 0 ... .max] {
            let statistics = LogStatistics(bytes: .max, lines: 1, storedBytes: 0, times: times)
            #expect(try LogStatistics(try sent(statistics.message)) == statistics)
            let usages = [JobUsage(job: .random(), storedBytes: .max, times: times)]
            #expect(try sent(Joblet_Ipc_Usages(usages)).list() == usages)
            let metrics = MetricStatistics(samples: .max, storedBytes: 7, times: times)
            #expect(try MetricStatistics(try sent(metrics.message)) == metrics)
        }
        let ends: [JobID: UInt64] = [.random(): 0, .random(): .max, .random(): 5]
        #expect(try sent(Joblet_Ipc_Positions(ends)).ends() == ends)
        let jobs = (0..<10).map { _ in JobID.random() }
        #expect(try JobID.list(try sent(Joblet_Ipc_Jobs(jobs)).ids) == jobs)
    }

    @Test func `a run is cut into parts that fit a frame and say the same`() throws {
        var sample = SampleLog(seed: 9)
        let run = sample.run(fragments: 500)
        for limit in [1, 7, 100, 5000, 1 << 20] {
            let parts = run.parts(bytes: limit)
            #expect(parts.allSatisfy { $0.bytes.count <= limit && !$0.isEmpty })
            #expect(parts.first?.start == run.start && parts.last?.end == run.end)
            #expect(Transcript(parts) == Transcript([run]))
        }
        var gaps = FragmentRun(start: 3)
        for _ in 0..<LogPage.maximumFragments + 1 { gaps.appendGap(stream: .stdout, time: 1, dropped: 1) }
        #expect(gaps.parts(bytes: 10).map(\.fragments.count) == [LogPage.maximumFragments, 1])
        #expect(FragmentRun(start: 3).parts(bytes: 10) == [])
    }

    @Test func `what contradicts itself is refused`() throws {
        let good = Joblet_Ipc_AppendLog(FragmentRun("abc\n", at: 5), job: .random())
        let damages: [(inout Joblet_Ipc_AppendLog) -> Void] = [
            { $0.fragments.kinds = Data([3]) }, { $0.fragments.kinds = Data() }, { $0.fragments.positions = [] },
            { $0.fragments.sizes = [5] }, { $0.fragments.sizes = [3] }, { $0.fragments.sizes = [.max] },
            { $0.fragments.times.append(0) }, { $0.start = 4 }, { $0.fragments.content = Data() },
            { $0.fragments.positions = [.max] },
        ]
        for damage in damages {
            var message = good
            damage(&message)
            #expect(throws: MalformedMessage.self) { try message.run() }
        }
        #expect(throws: MalformedMessage.self) { try JobID.list(Data(repeating: 0, count: 17)) }
        #expect(throws: MalformedMessage.self) {
            try Joblet_Ipc_Positions.with { $0.positions = [1] }.ends()
        }
        #expect(throws: MalformedMessage.self) { try JobRecord(wire: Data("{}".utf8)) }
    }
}
