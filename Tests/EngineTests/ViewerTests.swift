import Backends
import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct ViewerTests {
    @Test func `twenty viewers that come at any time see every byte once`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.segmentBytes = 64 << 10 }) { engine in
            let job = try await engine.run(
                .script("i=0; while [ $i -lt 40 ]; do i=$((i+1)); seq 1 2000; seq 1 50 >&2; done"))
            let viewers = (0..<20).map { number in
                Task { () -> [UInt8] in
                    for _ in 0..<number * 20 { await Task.yield() }
                    return try await engine.bytes(of: job.id, streams: number % 2 == 0 ? [.stdout] : [.stderr])
                }
            }
            let out = (1...2000).map { "\($0)\n" }.joined()
            let err = (1...50).map { "\($0)\n" }.joined()
            for (number, viewer) in viewers.enumerated() {
                let text = String(decoding: try await viewer.value, as: UTF8.self)
                #expect(text == String(repeating: number % 2 == 0 ? out : err, count: 40))
            }
        }
    }

    @Test func `a viewer with a text filter sees the lines that match, whole, across store and outbox`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.segmentBytes = 64 << 10 }) { engine in
            let job = try await engine.run(
                .script("seq 1 120000; printf 'half a 7'; seq 200000 260000; printf 'the end 7'"))
            let expected =
                ((1...120_000).map { "\($0)\n" } + ["half a 7200000\n"] + (200_001...260_000).map { "\($0)\n" })
                .filter { $0.contains("777") }
            for follows in [true, false] {
                let lines = try await text(of: job.id, "777", follows, in: engine)
                #expect(lines == expected.joined())
            }
            let ends = try await text(of: job.id, "the end", false, in: engine)
            #expect(ends == "the end 7")
        }
    }

    @Test func `who follows a log to its end finds the end of its job recorded`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            for command in ["true", "pwd"] {
                for _ in 0..<10 {
                    let job = try await engine.run(JobRequest(command))
                    _ = try await engine.bytes(of: job.id)
                    #expect(try await engine.record(of: job.id).status == .completed)
                }
            }
        }
    }

    private func text(
        of job: JobID, _ pattern: String, _ follows: Bool, in engine: JobEngine
    ) async throws -> String {
        var bytes: [UInt8] = []
        let query = LogQuery(job: job, grep: LinePattern(pattern))
        try await engine.logs.read(.init(query: query, follows: follows)) { bytes += $0.bytes }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `a viewer that stalls until ten times the outbox has passed gets every byte`() async throws {
        let harness = try EngineHarness()
        let limit: UInt64 = 512 << 10
        try await harness.withEngine(configure: {
            $0.segmentBytes = 64 << 10
            $0.maxJobOutboxBytes = limit
        }) { engine in
            let id = JobID.random()
            let (held, hold) = AsyncStream<Void>.makeStream()
            let request = JobRequest.script(
                "seq 1 1000000 | head -c 6000000; : > written; until [ -e go ]; do sleep 0.01; done; echo end")
            _ = try await engine.run(request, id: id)
            let viewer = Task { () -> [UInt8] in
                var bytes: [UInt8] = []
                try await engine.logs.read(.init(query: LogQuery(job: id), follows: true)) { page in
                    if bytes.isEmpty { for await _ in held { break } }
                    bytes += page.bytes
                }
                return bytes
            }
            // The job is not held up by the viewer.
            #expect(await soon { Directory.exists(harness.work(of: id) + "/written") })
            hold.finish()
            try writeFile(harness.work(of: id) + "/go")
            let expected = (1...1_000_000).map { "\($0)\n" }.joined().utf8.prefix(6_000_000) + Array("end\n".utf8)
            let seen = try await viewer.value
            #expect(seen.count == expected.count)
            #expect(seen.elementsEqual(expected))
        }
    }

    @Test func `a viewer of a job that is deleted, or that does not exist, is not kept waiting`() async throws {
        let harness = try EngineHarness()
        let logs = FaultyLogStore()
        try await harness.withEngine(logs: logs) { engine in
            #expect(try await engine.text(of: .random()) == "")
            await logs.writes.goDown()
            let job = try await engine.run(JobRequest("echo", "x"))
            _ = try await engine.end(of: job.id)
            let (started, start) = AsyncStream<Void>.makeStream()
            let viewer = Task {
                try await engine.logs.read(.init(query: LogQuery(job: job.id), follows: true)) { _ in start.finish() }
            }
            for await _ in started {}
            try await engine.delete(job.id)
            try await viewer.value
            await logs.writes.comeBack()
            #expect(await soon { await engine.isIdle })
        }
    }

    @Test func `viewers and callers are let go at a shutdown`() async throws {
        let harness = try EngineHarness()
        let engine = try await harness.engine()
        let job = try await engine.run(JobRequest("sh", "-c", "echo x; exec sleep 1000"))
        let (started, start) = AsyncStream<Void>.makeStream()
        let viewer = Task {
            try await engine.logs.read(.init(query: LogQuery(job: job.id), follows: true)) { _ in start.finish() }
        }
        let caller = Task { try await engine.end(of: job.id) }
        for await _ in started {}
        await engine.shutdown(stoppingJobs: false)
        await #expect(throws: EngineError.self) { try await viewer.value }
        await #expect(throws: EngineError.self) { try await caller.value }
        do {
            _ = try await engine.run(JobRequest("true"))
            Issue.record("a job after the shutdown")
        } catch {
            #expect(error.code == .unavailable)
        }
    }

    @Test func `a tail is exact for partial lines, both streams, and more lines than there are`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let job = try await engine.run(
                .script(
                    "seq 1 100; echo e1 >&2; echo e2 >&2; printf part; until [ -e go ]; do sleep 0.01; done; printf 'ial\\nlast\\n'"
                ))
            #expect(await soon { await engine.outboxEnd(of: job.id) == 292 + 6 + 4 })
            func tail(_ lines: Int, _ streams: Set<LogStream>) async throws -> String {
                var request = LogReader.Request(query: LogQuery(job: job.id, streams: streams), follows: false)
                request.start = try await engine.logs.cursor(forLast: lines, of: request)
                var bytes: [UInt8] = []
                try await engine.logs.read(request) { bytes += $0.bytes }
                return String(decoding: bytes, as: UTF8.self)
            }
            for _ in 0..<2 {
                #expect(try await tail(2, [.stdout]) == "100\npart")
                #expect(try await tail(1, [.stderr]) == "e2\n")
                #expect(try await tail(2, [.stderr]) == "e1\ne2\n")
                #expect(try await tail(1000, [.stderr]) == "e1\ne2\n")
                #expect(try await tail(.max, [.stdout]).hasPrefix("1\n2\n"))
                #expect(try await tail(0, [.stdout]) == "")
                #expect(try await tail(-1, [.stdout]) == "")
            }
            var request = LogReader.Request(query: LogQuery(job: job.id, streams: [.stdout]), follows: true)
            request.start = try await engine.logs.cursor(forLast: 1, of: request)
            try writeFile(harness.work(of: job.id) + "/go")
            var bytes: [UInt8] = []
            try await engine.logs.read(request) { bytes += $0.bytes }
            #expect(String(decoding: bytes, as: UTF8.self) == "partial\nlast\n")
            #expect(await soon { await engine.isIdle })
            #expect(try await tail(2, [.stdout]) == "partial\nlast\n")
            #expect(try await tail(3, [.stdout]) == "100\npartial\nlast\n")
        }
    }

    @Test func `a tail of more lines than are remembered is exact`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let job = try await engine.run(.script("seq 1 200000; printf part"))
            _ = try await engine.end(of: job.id)
            for (lines, first) in [(65_536, "134466"), (65_537, "134465"), (199_999, "3"), (200_001, "1"), (.max, "1")]
            {
                var request = LogReader.Request(query: LogQuery(job: job.id), follows: false)
                request.start = try await engine.logs.cursor(forLast: lines, of: request)
                var bytes: [UInt8] = []
                try await engine.logs.read(request) { bytes += $0.bytes }
                #expect(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self) == first)
                #expect(bytes.suffix(5) == Array("\npart".utf8)[...])
            }
        }
    }

    @Test func `a job that closes its output, or leaves it to a child, has a log that ends`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let closing = try await engine.run(JobRequest("sh", "-c", "echo x; exec >&- 2>&-; exit 0"))
            #expect(try await engine.text(of: closing.id) == "x\n")
            let leaving = try await engine.run(JobRequest("sh", "-c", "echo y; sleep 1000 & exit 4"))
            #expect(try await engine.text(of: leaving.id) == "y\n")
            #expect(try await engine.end(of: leaving.id).exitCode == 4)
        }
    }
}
