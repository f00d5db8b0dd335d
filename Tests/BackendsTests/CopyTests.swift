import Backends
import Foundation
import Storage
import StorageConformance
import Testing

@Suite struct CopyTests {
    /// A source and a target.
    static let pairs: [(LogBackend, LogBackend)] = [
        (.memory, .localGzip), (.localGzip, .sqlite), (.sqlite, .memory), (.sqlite, .localGzipPower),
        (.localGzip, .localGzip),
    ]

    @Test(arguments: pairs)
    func `logs arrive as they were, and once`(_ from: LogBackend, _ to: LogBackend) async throws {
        try await Self.with(from, to) { source, target in
            let logs = try await fill(source)
            let copy = LogCopy(from: source, to: target)
            let progress = Collected<CopyProgress>()
            let report = try await copy.run { progress.add($0) }
            let bytes = logs.values.reduce(0) { $0 + UInt64($1.bytes.count) }
            #expect(report.jobs == logs.count)
            #expect(report.copiedUnits == bytes)
            #expect(report.failures.isEmpty)
            let last = try #require(progress.all.last)
            #expect(last.jobs == logs.count && last.totalJobs == logs.count)
            #expect(last.units == bytes && last.totalUnits == bytes)
            #expect(zip(progress.all, progress.all.dropFirst()).allSatisfy { $0.units <= $1.units })
            for (job, log) in logs { #expect(try await target.transcript(of: LogQuery(job: job)) == log) }
            let again = try await copy.run()
            #expect(again.copiedUnits == 0 && again.jobs == logs.count && again.failures.isEmpty)
            for (job, log) in logs { #expect(try await target.transcript(of: LogQuery(job: job)) == log) }
        }
    }

    @Test(arguments: pairs)
    func `a copy goes on where it stopped`(_ from: LogBackend, _ to: LogBackend) async throws {
        try await Self.with(from, to) { source, target in
            var sample = SampleLog(seed: 80)
            let runs = sample.runs(60)
            let job = JobID.random()
            try await source.append(runs, to: job)
            for count in [7, 20, 59] {
                try await target.append(Array(runs[..<count]), to: job)
                _ = try await target.sync([job])
            }
            let missing = UInt64(runs[59].bytes.count)
            #expect(try await LogCopy(from: source, to: target).copy(job) == missing)
            #expect(try await target.transcript(of: LogQuery(job: job)) == Transcript(runs))
        }
    }

    @Test func `a target that holds something else is no copy`() async throws {
        let (source, target) = (MemoryLogStore(), MemoryLogStore())
        let (job, deleted, sound) = (JobID.random(), JobID.random(), JobID.random())
        for id in [job, deleted, sound] { try await source.append(FragmentRun("abcdef\n"), to: id) }
        try await target.append(FragmentRun("abX"), to: job)
        await target.delete(deleted)
        let report = try await LogCopy(from: source, to: target).run()
        #expect(report.jobs == 1)
        let failures = Dictionary(uniqueKeysWithValues: report.failures.map { ($0.job, $0.error) })
        #expect(failures[job] == .corrupt(place: "copy of job \(job)"))
        guard case .refused = failures[deleted] else {
            Issue.record("\(report.failures)")
            return
        }
    }

    @Test func `a damaged source is a failure, and what is good before the damage arrives`() async throws {
        try await LogDirectoryFixture.with { logs in
            var sample = SampleLog(seed: 81)
            let runs = (0..<3).map { _ in sample.run(fragments: 20) }
            try await logs.writeBlocks(runs)
            var bytes = try logs.bytes("stderr.log.gz")
            bytes[bytes.count - 10] ^= 1
            try logs.write(bytes, to: "stderr.log.gz")
            let target = MemoryLogStore()
            let report = try await LogCopy(from: logs.open(), to: target).run()
            #expect(report.failures.count == 1)
            #expect(try await target.transcript(of: LogQuery(job: logs.job)) == Transcript(Array(runs[..<2])))
        }
    }

    @Test(arguments: JobBackend.available)
    func `records arrive as they were, newer ones stay, refused ones are named`(_ to: JobBackend) async throws {
        try await to.withFreshStore { subject in
            let (source, target) = (MemoryJobStore(), subject.store)
            let records = (0..<25).map { index in
                var record = JobRecord(
                    id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
                    specification: JobSpecification(command: "/bin/true"), createdAt: Int64(index))
                record.version = 3
                return record
            }
            try await source.put(records)
            var newer = records[2]
            newer.version = 9
            try await target.put([newer])
            try await target.delete(records[11].id, version: 5)
            let report = try await JobRecordCopy(from: source, to: target, pageSize: 4).run()
            #expect(report.jobs == 24)
            #expect(report.failures.map(\.job) == [records[11].id])
            #expect(try await target.get(records[2].id) == newer)
            for record in records where record.id != newer.id && record.id != records[11].id {
                #expect(try await target.get(record.id) == record)
            }
        }
    }

    @Test func `samples arrive as they were, with what is missing between them`() async throws {
        try await withScratchDirectory { path in
            let source = MemoryMetricStore()
            let target = try SQLiteMetricStore(path: "\(path)/metrics.db")
            let job = JobID.random()
            let samples: [MetricSample] = (0..<2500).map { index in
                let point = MetricPoint(type: .cpu, values: ["cpu_percent": Double(index)])
                let sequence = index < 1200 ? index : index + 100
                return MetricSample(sequence: UInt64(sequence), time: Int64(index), points: [point])
            }
            try await source.append(Array(samples[..<1200]), to: job)
            try await source.skip(to: 1300, of: job)
            try await source.append(Array(samples[1200...]), to: job)
            try await target.append(Array(samples[..<700]), to: job)
            let copy = MetricCopy(from: source, to: target)
            let report = try await copy.run()
            #expect(report.copiedUnits == 1800)
            #expect(report.failures.isEmpty)
            var arrived: [MetricSample] = []
            var page = try await target.read(MetricQuery(job: job), from: 0, limit: 5000)
            arrived += page.samples
            while !page.isLast {
                page = try await target.read(MetricQuery(job: job), from: page.next, limit: 5000)
                arrived += page.samples
            }
            #expect(arrived == samples)
            #expect(try await copy.copy(job) == 0)
        }
    }

    /// Logs with gap notes, lost bytes, a trimmed beginning, and one of several megabytes.
    private func fill(_ store: any LogStore) async throws -> [JobID: Transcript] {
        var logs: [JobID: Transcript] = [:]
        for seed in 0..<5 {
            var sample = SampleLog(seed: UInt64(seed))
            let job = JobID.random()
            var runs = sample.runs(20)
            try await store.append(runs, to: job)
            let end = runs.last?.end ?? 0
            switch seed {
            case 1:
                try await store.skip(to: end + 1000, of: job, time: .max - 1)
                runs = [FragmentRun("behind\n", at: end + 1000, time: .max)]
                try await store.append(runs, to: job)
            case 2: _ = try await store.trim(job, to: 2000)
            case 3: try await store.append([sample.lines(bytes: 3 << 20)], to: job)
            default: break
            }
            logs[job] = try await store.transcript(of: LogQuery(job: job))
        }
        return logs
    }

    private static func with(
        _ from: LogBackend, _ to: LogBackend,
        _ body: (any LogStore, any LogStore) async throws -> Void
    ) async throws {
        try await from.withFreshStore { source in
            try await to.withFreshStore { target in try await body(source.store, target.store) }
        }
    }
}
