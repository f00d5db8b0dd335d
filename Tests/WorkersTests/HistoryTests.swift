import Backends
import Engine
import JobletAPI
import Storage
import StorageConformance
import SwiftProtobuf
import TestSupport
import Testing

@testable import Server

/// Lines and samples as QueryLogs and QueryMetrics give them.
@Suite struct HistoryTests {
    private func lines(_ runs: [FragmentRun]) -> [LogEntry] {
        var assembler = LineAssembler()
        var lines: [LogEntry] = []
        for run in runs { run.forEach { lines += assembler.add($0, $1) } }
        return lines + assembler.finish()
    }

    @Test(arguments: 0..<30) func `lines are whole, and in the order of their first bytes`(seed: UInt64) {
        var sample = SampleLog(seed: seed)
        let runs = sample.runs(50, fragments: 20, gaps: false)
        let lines = lines(runs)
        #expect(zip(lines, lines.dropFirst()).allSatisfy { $0.position < $1.position && $0.time <= $1.time })
        let transcript = Transcript(runs)
        for stream in LogStream.allCases {
            var text: [UInt8] = []
            for line in lines where line.stream == stream { text += line.content + [UInt8(ascii: "\n")] }
            var expected = transcript.bytes(of: stream)
            if expected.last.map({ $0 != UInt8(ascii: "\n") }) ?? false { expected.append(UInt8(ascii: "\n")) }
            #expect(text == expected)
        }
    }

    @Test func `missing bytes end a line of their stream, and are noted between what was before and what came after`() {
        var run = FragmentRun(start: 0)
        run.append(stream: .stderr, time: 1, bytes: "open".utf8)
        run.append(stream: .stdout, time: 1, bytes: "one\ncut".utf8)
        run.appendGap(stream: .stdout, time: 2, dropped: 5)
        run.append(stream: .stdout, time: 3, bytes: "rest\n".utf8)
        run.append(stream: .stderr, time: 4, bytes: " line\n".utf8)
        let lines = lines([run])
        #expect(lines.map { String(decoding: $0.content, as: UTF8.self) } == ["open line", "one", "cut", "", "rest"])
        #expect(lines.map(\.dropped) == [0, 0, 0, 5, 0])
        #expect(lines.map(\.position) == [0, 4, 8, 11, 11])
        let message = Joblet_Persist_LogLine(lines[3], job: "j")
        #expect(message.droppedBytes == 5 && message.sequence == 11 && message.timestamp == 2)
        #expect(String(decoding: message.content, as: UTF8.self) == "[joblet: 5 bytes dropped]")
    }

    @Test func `a line that is never ended holds the others back for a while only`() {
        var assembler = LineAssembler()
        var run = FragmentRun(start: 0)
        run.append(stream: .stdout, time: 1, bytes: "prompt> ".utf8)
        let line = [UInt8](repeating: 65, count: 65_535) + [UInt8(ascii: "\n")]
        for _ in 0..<100 { run.append(stream: .stderr, time: 2, bytes: line) }
        var seen: [LogEntry] = []
        run.forEach { seen += assembler.add($0, $1) }
        #expect(seen.first.map { String(decoding: $0.content, as: UTF8.self) } == "prompt> ")
        #expect(seen.count > 60)
        #expect((seen + assembler.finish()).count == 101)
    }

    @Test func `empty lines behind a line that is not ended are not held for ever`() {
        var assembler = LineAssembler()
        var run = FragmentRun(start: 0)
        run.append(stream: .stderr, time: 1, bytes: "prompt> ".utf8)
        for _ in 0..<100 { run.append(stream: .stdout, time: 2, bytes: [UInt8](repeating: 10, count: 1000)) }
        var seen: [LogEntry] = []
        run.forEach { seen += assembler.add($0, $1) }
        #expect(seen.first.map { String(decoding: $0.content, as: UTF8.self) } == "prompt> ")
        #expect((seen + assembler.finish()).count == 100_001)
    }

    @Test func `a line without end comes in pieces of a mebibyte`() {
        var run = FragmentRun(start: 0)
        run.append(stream: .stdout, time: 1, bytes: [UInt8](repeating: 65, count: 5 << 19))
        let pieces = lines([run])
        #expect(pieces.map(\.content.count) == [1 << 20, 1 << 20, 1 << 19])
        #expect(pieces.map(\.position) == [0, 1 << 20, 2 << 20])
    }

    private func query(
        _ store: MemoryLogStore, _ job: JobID, _ configure: (inout Joblet_Persist_QueryLogsRequest) -> Void = { _ in }
    ) async throws -> [LogEntry] {
        var request = Joblet_Persist_QueryLogsRequest()
        configure(&request)
        var lines: [LogEntry] = []
        try await LogLineQuery(request, job: job).run(on: StoredHistory(stores: WorkerStores(logs: store))) {
            lines += $0
        }
        return lines
    }

    @Test(arguments: 0..<20) func `every part is what is left of the whole`(seed: UInt64) async throws {
        var sample = SampleLog(seed: seed)
        let runs = sample.runs(30, fragments: 20)
        let store = MemoryLogStore()
        let job = JobID.random()
        try await store.append(runs, to: job)
        let all = lines(runs)
        #expect(try await query(store, job) == all)
        let first = try #require(all.randomElement(using: &sample)).time
        let last = try #require(all.randomElement(using: &sample)).time
        let inTime = all.filter { $0.time >= first && $0.time <= last }
        #expect(try await query(store, job) { ($0.startTime, $0.endTime) = (first, last) } == inTime)
        #expect(try await query(store, job) { $0.endTime = last } == all.filter { $0.time <= last })
        let since = all.filter { $0.time >= first }
        #expect(try await query(store, job) { ($0.startTime, $0.offset) = (first, 3) } == Array(since.dropFirst(3)))
        #expect(try await query(store, job) { ($0.offset, $0.limit) = (5, 7) } == Array(all.dropFirst(5).prefix(7)))
        #expect(try await query(store, job) { ($0.offset) = 1_000_000 } == [])
        let found = all.filter { $0.dropped > 0 || String(decoding: $0.content, as: UTF8.self).contains("ab") }
        #expect(try await query(store, job) { $0.grep = "ab" } == found)
        for (stream, type) in [(LogStream.stdout, Joblet_Persist_StreamType.stdout), (.stderr, .stderr)] {
            #expect(try await query(store, job) { $0.stream = type } == all.filter { $0.stream == stream })
        }
    }

    @Test func `prefixes find the one job, or name those that there are`() async throws {
        let store = MemoryLogStore()
        let jobs = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "f"].map {
            JobID($0) ?? JobID(high: .max, low: .max)
        }
        for job in jobs { try await store.append(FragmentRun("x"), to: job) }
        let history = StoredHistory(stores: WorkerStores(logs: store))
        #expect(try await history.resolve("ff") == jobs[2])
        #expect(try await history.resolve("FFFFFFFF-ffff-ffff-ffff-ffffffffffff") == jobs[2])
        #expect(try await history.resolve(jobs[1].description) == jobs[1])
        await #expect(throws: EngineError(.notFound, "job not found: 1")) { try await history.resolve("1") }
        await #expect(throws: EngineError(.notFound, "job not found: ../x")) { try await history.resolve("../x") }
        let both = "job id 0 is ambiguous: \(jobs[0]), \(jobs[1])"
        await #expect(throws: EngineError(.invalidArgument, both)) { try await history.resolve("0") }
    }

    @Test func `a sample becomes the published figures and all values by name`() {
        let sample = MetricSample(
            sequence: 4, time: 9,
            points: [
                MetricPoint(type: .cpu, values: ["cpu_percent": 150, "cpu_user": 0]),
                MetricPoint(type: .memory, values: ["memory_rss": 4096]),
                MetricPoint(type: .io, labels: ["device": "8:0"], values: ["io_read_bytes": 1]),
                MetricPoint(type: .io, values: ["io_read_bytes": 7, "io_write_ops": 2]),
                MetricPoint(type: .gpu, labels: ["gpu": "0"], values: ["gpu_utilization": 50]),
                MetricPoint(type: .gpu, labels: ["gpu": "1"], values: ["gpu_utilization": 100]),
            ])
        let message = Joblet_Persist_Metric(sample, job: "j", type: nil)
        #expect(message.sequence == 4 && message.timestamp == 9 && message.jobID == "j")
        #expect(message.data.cpuUsage == 1.5 && message.data.memoryUsage == 4096 && message.data.gpuUsage == 0.75)
        #expect(message.data.diskIo.readBytes == 7 && message.data.diskIo.writeOps == 2)
        #expect(
            message.values == [
                "cpu_percent": 150, "cpu_user": 0, "memory_rss": 4096, "io_read_bytes": 7, "io_write_ops": 2,
            ])
    }
}
