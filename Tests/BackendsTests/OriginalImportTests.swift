import Foundation
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite final class OriginalImportTests {
    private let gzip = Gzip()

    private func member(_ text: String) -> [UInt8] {
        var member: [UInt8] = []
        Array(text.utf8).withUnsafeBytes { gzip.compress($0, into: &member) }
        return member
    }

    /// A line as the original wrote it: zero-valued fields left out.
    private func line(_ job: String, _ second: Int, _ sequence: Int, _ text: String, stream: Int = 1) -> String {
        let content = Data(text.utf8).base64EncodedString()
        let order = sequence == 0 ? "" : "\"sequence\":\(sequence),"
        return
            "{\"job_id\":\"\(job)\",\"stream\":\(stream),\"timestamp\":\(second)000000000,\(order)\"content\":\"\(content)\"}\n"
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    @Test(arguments: LogBackend.available)
    func `logs are imported in the order of their times and sequences`(_ backend: LogBackend) async throws {
        try await withScratchDirectory { path in
            let job = "6F1A8C1E-1111-4222-8333-444455556666"
            // The second worker was faster; the file of stderr got an empty member with each batch.
            let stdout =
                member(line(job, 100, 0, "one\n") + line(job, 100, 2, "three ")) + member("")
                + member(line(job, 100, 1, "two\n")) + member(line(job, 101, 3, "parts\n"))
            let stderr = member("") + member(line(job, 100, 1, "oops\n", stream: 2)) + member("")
            try write(stdout, to: "\(path)/in/\(job)/stdout.log.gz")
            try write(stderr, to: "\(path)/in/\(job)/stderr.log.gz")
            try write(member(line("x", 1, 1, "x")), to: "\(path)/in/not-an-id/stdout.log.gz")
            try await backend.withFreshStore { subject in
                let importing = OriginalImport(directory: "\(path)/in")
                for _ in 0..<2 {
                    let report = try await importing.logs(into: subject.store)
                    #expect(report.jobs == 1)
                    #expect(report.badLines == 0 && report.damages == 0 && report.failures.isEmpty)
                    #expect(report.skipped == ["not-an-id"])
                    let id = try #require(JobID(job))
                    let transcript = try await subject.store.transcript(of: LogQuery(job: id))
                    #expect(String(decoding: transcript.bytes(of: .stdout), as: UTF8.self) == "one\ntwo\nthree parts\n")
                    #expect(transcript.bytes(of: .stderr) == Array("oops\n".utf8))
                    #expect(transcript.fragments.map(\.time).first == 100_000_000_000)
                    #expect(transcript.fragments.map(\.time).last == 101_000_000_000)
                }
            }
        }
    }

    @Test func `a file that a crash cut, or that is damaged, gives what is good`() async throws {
        try await withScratchDirectory { path in
            let job = JobID.random()
            let members = (0..<20).map { member(line("\(job)", 100 + $0, $0, "line \($0)\n")) }
            let whole = members.flatMap { $0 }
            let file = "\(path)/in/\(job)/stdout.log.gz"
            for cut in [whole.count - 1, whole.count - 30, members[0].count + 3, 5, 0] {
                try write(Array(whole[..<cut]), to: file)
                let store = MemoryLogStore()
                let report = try await OriginalImport(directory: "\(path)/in").logs(into: store)
                #expect(report.damages == (cut == 0 ? 0 : 1))
                #expect(report.failures.isEmpty)
                guard report.jobs == 1 else { continue }
                let text = try await store.transcript(of: LogQuery(job: job)).bytes
                let expected = (0..<20).flatMap { Array("line \($0)\n".utf8) }
                #expect(text.elementsEqual(expected.prefix(text.count)))
            }
            // A member in the middle is passed over.
            var damaged = members
            damaged[7][damaged[7].count - 9] ^= 0xff
            try write(damaged.flatMap { $0 }, to: file)
            let store = MemoryLogStore()
            let report = try await OriginalImport(directory: "\(path)/in").logs(into: store)
            #expect(report.damages == 1)
            let text = String(decoding: try await store.transcript(of: LogQuery(job: job)).bytes, as: UTF8.self)
            #expect(text.hasSuffix("line 8\n" + (9..<20).map { "line \($0)\n" }.joined()))
            #expect(text.hasPrefix((0..<7).map { "line \($0)\n" }.joined()))
        }
    }

    @Test func `lines that are none are counted, large ones are taken`() async throws {
        try await withScratchDirectory { path in
            let job = JobID.random()
            let large = String(repeating: "x", count: 3 << 20)
            let text =
                "not json\n" + line("\(job)", 1, 1, large) + "{\"stream\":9}\n\n" + line("\(job)", 2, 2, "end")
                + "{\"timestamp\":\"text\"}"
            try write(member(text), to: "\(path)/in/\(job)/stdout.log.gz")
            let store = MemoryLogStore()
            let report = try await OriginalImport(directory: "\(path)/in").logs(into: store)
            #expect(report.badLines == 3)
            #expect(try await store.transcript(of: LogQuery(job: job)).bytes == Array((large + "end").utf8))
        }
    }

    @Test func `metrics get their times right, and their names`() async throws {
        try await withScratchDirectory { path in
            let job = JobID.random()
            let text = """
                {"job_id":"\(job)","timestamp":1700000000,"data":{"cpu_usage":1.5,"memory_usage":4096,\
                "disk_io":{"read_bytes":7,"write_ops":2},"network_io":{}}}
                {"job_id":"\(job)","timestamp":1700000005,"sequence":1,"data":{"gpu_usage":0.25,\
                "network_io":{"rx_bytes":3}}}

                """
            try write(member(text), to: "\(path)/in/\(job)/metrics.jsonl.gz")
            let other = JobID.random()
            let seeds = """
                {"timestamp":1700000000123456789,"metric_type":"cpu","values":{"cpu_user":1,"cpu_system":0}}
                {"timestamp":1700000000123456789,"metric_type":"memory","values":{"memory_rss":5}}
                {"timestamp":1700000001123456789,"metric_type":"cpu","values":{"cpu_user":2}}

                """
            try write(member(seeds), to: "\(path)/in/\(other)/1700000000123456789.jsonl.gz")
            let store = MemoryMetricStore()
            for _ in 0..<2 {
                let report = try await OriginalImport(directory: "\(path)/in").metrics(into: store)
                #expect(report.jobs == 2)
                #expect(report.units == 4)
                #expect(report.badLines == 0)
            }
            let samples = try await store.read(MetricQuery(job: job), from: 0, limit: 10).samples
            #expect(samples.map(\.time) == [1_700_000_000_000_000_000, 1_700_000_005_000_000_000])
            #expect(
                samples[0].points == [
                    MetricPoint(type: .cpu, values: ["cpu_percent": 150]),
                    MetricPoint(type: .memory, values: ["memory_current": 4096]),
                    MetricPoint(
                        type: .io,
                        values: ["io_read_bytes": 7, "io_write_bytes": 0, "io_read_ops": 0, "io_write_ops": 2]),
                ])
            #expect(samples[1].points.map(\.type) == [.cpu, .memory, .io, .gpu, .network])
            let rest = try await store.read(MetricQuery(job: other), from: 0, limit: 10).samples
            #expect(rest.map(\.points.count) == [2, 1])
            #expect(rest[0].time == 1_700_000_000_123_456_789)
        }
    }
}
