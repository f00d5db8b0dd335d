import Foundation
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite struct LocalGzipMetricsTests {
    @Test func `zcat shows a line for each point, in the documented form`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open()
            let sample = MetricSample(
                sequence: 0, time: 1_704_451_200_000_000_000,
                points: [
                    MetricPoint(type: .cpu, values: ["cpu_user": 45.2, "cpu_total": 58, "cpu_percent": 0]),
                    MetricPoint(type: .io, labels: ["device": "8:0"], values: ["io_read_bytes": 4096]),
                ])
            try await store.append([sample], to: metrics.job)
            _ = try await store.sync([metrics.job])
            try await store.append([MetricSample(1, at: 1_704_451_205_000_000_000, value: 1.5)], to: metrics.job)
            try await store.finish(metrics.job)
            let text = String(decoding: try zcat(metrics.path("1704451200000000000.jsonl.gz")), as: UTF8.self)
            #expect(
                text == """
                    {"timestamp":1704451200000000000,"metric_type":"cpu",\
                    "values":{"cpu_percent":0,"cpu_total":58,"cpu_user":45.2},"sequence":0,"labels":{}}
                    {"timestamp":1704451200000000000,"metric_type":"io","values":{"io_read_bytes":4096},\
                    "sequence":0,"labels":{"device":"8:0"}}
                    {"timestamp":1704451205000000000,"metric_type":"cpu","values":{"cpu_percent":1.5},\
                    "sequence":1,"labels":{}}

                    """)
        }
    }

    @Test func `samples of which nothing is whole are damaged, not missing`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open()
            try await store.append([MetricSample(0, at: 5, value: 1)], to: metrics.job)
            try await store.finish(metrics.job)
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: metrics.path("5.jsonl.gz"))))
            bytes[bytes.count / 2] ^= 0xff
            try Data(bytes).write(to: URL(fileURLWithPath: metrics.path("5.jsonl.gz")))
            let again = try metrics.open()
            for call in [
                { _ = try await again.statistics(of: metrics.job) },
                { _ = try await again.read(MetricQuery(job: metrics.job), from: 0, limit: 9) },
            ] as [() async throws -> Void] {
                do {
                    try await call()
                    Issue.record("nothing was said of the damage")
                } catch StorageError.corrupt {
                }
            }
        }
    }

    @Test func `what an interrupted trim left goes with its job`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open()
            try await store.append([MetricSample(0, at: 5, value: 1)], to: metrics.job)
            try await store.finish(metrics.job)
            try Data("half".utf8).write(to: URL(fileURLWithPath: metrics.path("5.jsonl.gz.new")))
            try await store.delete(metrics.job)
            #expect(!FileManager.default.fileExists(atPath: metrics.path("")))
        }
    }

    @Test func `every line is JSON that others read, whatever the names`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let labels = ["quote\" back\\ slash/": "\u{0}\u{1}\u{1f}\u{7f}\n\t", "ü": "\u{1F600}"]
            let values = ["a\"b": 0.1, "big": 1.7e308, "small": 4.9e-300, "whole": 1e15, "negative": -2.0]
            let sample = MetricSample(
                sequence: 0, time: 5, points: [MetricPoint(type: .gpu, labels: labels, values: values)])
            let store = try metrics.open()
            try await store.append([sample], to: metrics.job)
            try await store.finish(metrics.job)
            let line = try JSONDecoder().decode(Line.self, from: Data(zcat(metrics.path("5.jsonl.gz"))))
            #expect(line == Line(timestamp: 5, metric_type: "gpu", values: values, sequence: 0, labels: labels))
        }
    }

    private struct Line: Codable, Equatable {
        var timestamp: Int64
        var metric_type: String
        var values: [String: Double]
        var sequence: UInt64
        var labels: [String: String]
    }

    @Test func `a file that is full is followed by another, each named by the time of its first sample`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open(fileBytes: 1)
            for sequence: UInt64 in 0..<4 {
                // The last two have one time.
                try await store.append([MetricSample(sequence, at: Int64(min(sequence, 2)) * 10)], to: metrics.job)
                _ = try await store.sync([metrics.job])
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: metrics.path("")).sorted()
            #expect(names == ["0.jsonl.gz", "10.jsonl.gz", "20.jsonl.gz", "21.jsonl.gz"])
            let again = try metrics.open()
            #expect(try await again.samples(MetricQuery(job: metrics.job)).map(\.sequence) == [0, 1, 2, 3])
            #expect(try await again.samples(MetricQuery(job: metrics.job, since: 20)).map(\.sequence) == [2, 3])
            #expect(try await again.samples(MetricQuery(job: metrics.job), from: 3).map(\.sequence) == [3])
            #expect(try await again.statistics(of: metrics.job).times == 0...20)
        }
    }

    @Test func `what an interrupted write left is cut, whatever its length`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            var sample = SampleMetrics(seed: 1)
            let samples = sample.samples(30)
            try await metrics.write(samples, members: 10)
            let name = "\(samples[0].time).jsonl.gz"
            let whole = try metrics.bytes(name)
            let ends = MetricMember.table(whole).members.map { Int($0.offset) + Int($0.length) }
            #expect(ends.count == 3 && ends.last == whole.count)
            for length in Array(stride(from: 0, to: whole.count, by: 7)) + ends {
                try metrics.write(whole[..<length], to: name)
                let kept = 10 * ends.count { $0 <= length }
                let store = try metrics.open()
                #expect(try await store.end(of: metrics.job) == (kept == 0 ? nil : UInt64(kept)))
                if kept > 0 {
                    #expect(try await store.samples(MetricQuery(job: metrics.job)) == Array(samples[..<kept]))
                }
                // The writer goes on there, and the file is whole again.
                try await store.append(samples, to: metrics.job)
                try await store.finish(metrics.job)
                #expect(try await metrics.open().samples(MetricQuery(job: metrics.job)) == samples)
                _ = try zcat(metrics.path(name))
            }
        }
    }

    @Test func `a host that stopped may leave the length of a member and not its bytes`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            var sample = SampleMetrics(seed: 2)
            let samples = sample.samples(20)
            try await metrics.write(samples, members: 10)
            let name = "\(samples[0].time).jsonl.gz"
            var bytes = try metrics.bytes(name)
            let last = try #require(MetricMember.table(bytes).members.last)
            for place in Int(last.offset) + MetricMember.headerSize..<bytes.count { bytes[place] = 0 }
            try metrics.write(bytes, to: name)
            let store = try metrics.open()
            #expect(try await store.end(of: metrics.job) == 10)
            try await store.append(samples, to: metrics.job)
            #expect(try await store.samples(MetricQuery(job: metrics.job)) == samples)
        }
    }

    @Test func `a flipped bit is told behind everything good before it, and never gives wrong samples`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            var sample = SampleMetrics(seed: 3)
            let samples = sample.samples(40)
            try await metrics.write(samples, members: 10)
            let name = "\(samples[0].time).jsonl.gz"
            let whole = try metrics.bytes(name)
            let second = MetricMember.table(whole).members[1]
            let stretch = Int(second.offset)..<Int(second.offset) + Int(second.length)
            var told = 0
            for place in stride(from: stretch.lowerBound, to: stretch.upperBound, by: 11) {
                var bytes = whole
                bytes[place] ^= 1 << UInt8(place % 8)
                try metrics.write(bytes, to: name)
                let store = try metrics.open()
                let first = try await store.read(MetricQuery(job: metrics.job), from: 0, limit: 100)
                if first.isLast {
                    // A bit that nobody reads, in the fixed part of the header.
                    #expect(first.samples == samples)
                    continue
                }
                told += 1
                #expect(first.samples == Array(samples[..<10]))
                await #expect(throws: StorageError.corrupt(place: "\(metrics.job)/\(name) at \(second.offset)")) {
                    try await store.read(MetricQuery(job: metrics.job), from: first.next, limit: 100)
                }
                // What lies behind is there.
                #expect(try await store.end(of: metrics.job) == 40)
                #expect(try await store.samples(MetricQuery(job: metrics.job), from: 20) == Array(samples[20...]))
            }
            #expect(told > 10)
        }
    }

    @Test func `files that were deleted by hand are no error, and the writer is told where to go on`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open()
            try await store.append([MetricSample(0), MetricSample(1)], to: metrics.job)
            _ = try await store.sync([metrics.job])
            try FileManager.default.removeItem(atPath: metrics.path(""))
            #expect(try await store.end(of: metrics.job) == nil)
            await #expect(throws: StorageError.gap(expected: 0)) {
                try await store.append([MetricSample(2)], to: metrics.job)
            }
            try await store.skip(to: 2, of: metrics.job)
            try await store.append([MetricSample(2)], to: metrics.job)
            #expect(try await store.sync([metrics.job]) == [metrics.job: 3])
            #expect(try await metrics.open().samples(MetricQuery(job: metrics.job)).map(\.sequence) == [2])
        }
    }

    @Test func `file and directory have the time of the last write, which cleaning up by age looks at`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open()
            try await store.append([MetricSample(0)], to: metrics.job)
            _ = try await store.sync([metrics.job])
            let paths = [metrics.path(""), metrics.path("1.jsonl.gz")]
            for path in paths {
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 0)], ofItemAtPath: path)
            }
            let again = try metrics.open()
            _ = try await again.samples(MetricQuery(job: metrics.job))
            for path in paths { #expect(try modified(path) == Date(timeIntervalSince1970: 0)) }
            try await again.append([MetricSample(1)], to: metrics.job)
            _ = try await again.sync([metrics.job])
            for path in paths { #expect(try modified(path) > Date(timeIntervalSinceNow: -600)) }
        }
    }

    @Test func `directories are for the owner, and so are files`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            try await metrics.write([MetricSample(0)], members: 1)
            for (path, mode) in [(metrics.root, 0o700), (metrics.path(""), 0o700), (metrics.path("1.jsonl.gz"), 0o600)]
            {
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                #expect(attributes[.posixPermissions] as? Int == mode)
            }
        }
    }

    @Test func `an interrupted deletion ends when the store is opened`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            try await metrics.write([MetricSample(0)], members: 1)
            let bytes = try metrics.bytes("1.jsonl.gz")
            try await metrics.open().delete(metrics.job)
            #expect(!FileManager.default.fileExists(atPath: metrics.path("")))
            try FileManager.default.createDirectory(atPath: metrics.path(""), withIntermediateDirectories: false)
            try metrics.write(bytes, to: "1.jsonl.gz")
            _ = try metrics.open()
            #expect(!FileManager.default.fileExists(atPath: metrics.path("")))
        }
    }

    @Test func `any number of jobs costs no descriptors`() async throws {
        try await MetricDirectoryFixture.with { metrics in
            let store = try metrics.open()
            let jobs = (0..<600).map { _ in JobID.random() }
            for job in jobs { try await store.append([MetricSample(0)], to: job) }
            _ = try await store.sync(jobs)
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { number in
                let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
                return path?.hasPrefix(metrics.root) ?? false
            }
            #expect(open == [])
            #expect(try await store.jobs(after: nil, limit: 1000) == jobs.sorted())
        }
    }

    private func modified(_ path: String) throws -> Date {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date)
    }
}

/// A directory of samples whose files a test reads, cuts and damages.
private struct MetricDirectoryFixture {
    let root: String
    let job = JobID.random()

    static func with(_ body: (MetricDirectoryFixture) async throws -> Void) async throws {
        try await withScratchDirectory { path in try await body(MetricDirectoryFixture(root: "\(path)/metrics")) }
    }

    func open(fileBytes: UInt64 = 1 << 20) throws -> LocalGzipMetricStore {
        try LocalGzipMetricStore(directory: root, fileBytes: fileBytes)
    }

    func path(_ name: String) -> String { "\(root)/\(job)/\(name)" }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }

    /// Replaces a file's content, as a new file.
    func write(_ bytes: some Sequence<UInt8>, to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)), options: .atomic)
    }

    /// Writes samples, `members` to a member.
    func write(_ samples: [MetricSample], members: Int) async throws {
        let store = try open()
        for start in stride(from: 0, to: samples.count, by: members) {
            try await store.append(Array(samples[start..<min(samples.count, start + members)]), to: job)
            _ = try await store.sync([job])
        }
    }
}
