import Backends
import Foundation
import Storage
import StorageConformance
import Synchronization
import Testing

@Suite struct RetentionRunTests {
    private static let day: Int64 = 86_400 * 1_000_000_000
    private static let now: Int64 = 1_900_000_000_000_000_000

    /// A store's jobs: one a day, the oldest first, each with some bytes that hardly compress.
    private func fill(_ store: any LogStore, days: Int) async throws -> [JobID] {
        var jobs: [JobID] = []
        for day in (0..<days).reversed() {
            let job = JobID.random()
            let time = Self.now - Int64(day) * Self.day
            var run = FragmentRun(start: 0)
            for run0 in SampleLog.largeRuns(seed: UInt64(day), count: 8) {
                run0.forEach { fragment, bytes in run.append(stream: fragment.stream, time: time, bytes: bytes) }
            }
            try await store.append(run, to: job)
            try await store.finish(job)
            jobs.append(job)
        }
        return jobs
    }

    @Test(arguments: LogBackend.available)
    func `old jobs go, large ones are trimmed, live ones stay`(_ backend: LogBackend) async throws {
        try await backend.withFreshStore { subject in
            let store = subject.store
            let jobs = try await fill(store, days: 6)
            let sizes = try await sizes(store)
            let policy = RetentionPolicy(maximumAge: 3 * Self.day + 1, maximumJobBytes: 50_000)
            let live: Set = [jobs[0], jobs[5]]
            let run = RetentionRun(of: policy, on: store, pageSize: 2)
            let reports = Collected<RetentionReport>()
            let report = try await run.run(now: Self.now, live: { live }) { reports.add($0) }
            #expect(report.examinedJobs == 6)
            #expect(report.examinedBytes == sizes.values.reduce(0, +))
            #expect(report.deletedJobs == [.age: 1])
            #expect(report.trimmedJobs == 3)
            #expect(report.failures.isEmpty)
            // Pages without a step come after the last report, as their order is that of random ids.
            #expect(reports.all.last?.freedBytes == report.freedBytes)
            let left = try await self.sizes(store)
            #expect(report.freedBytes == sizes.values.reduce(0, +) - left.values.reduce(0, +))
            #expect(Set(left.keys) == Set(jobs).subtracting([jobs[1]]))
            #expect(left[jobs[0]] == sizes[jobs[0]] && left[jobs[5]] == sizes[jobs[5]])
            for job in jobs[2...4] { #expect(left[job] ?? .max <= 50_000) }
            // Nothing is left to do.
            let again = try await run.run(now: Self.now, live: { live })
            #expect(again.deletedJobs.isEmpty && again.trimmedJobs == 0 && again.freedBytes == 0)
        }
    }

    @Test(arguments: LogBackend.available)
    func `the sum is brought below its limit, the oldest first`(_ backend: LogBackend) async throws {
        try await backend.withFreshStore { subject in
            let store = subject.store
            let jobs = try await fill(store, days: 5)
            let sizes = try await sizes(store)
            let limit = sizes.values.reduce(0, +) - (sizes[jobs[0]] ?? 0) - 1
            let run = RetentionRun(of: RetentionPolicy(maximumTotalBytes: limit), on: store, pageSize: 3)
            let report = try await run.run(now: Self.now, live: { [] })
            #expect(report.deletedJobs == [.totalBytes: 2])
            #expect(try await Set(self.sizes(store).keys) == Set(jobs[2...]))
        }
    }

    @Test func `a dry run counts and changes nothing`() async throws {
        let store = MemoryLogStore()
        _ = try await fill(store, days: 5)
        let before = try await sizes(store)
        let policy = RetentionPolicy(maximumAge: Self.day, maximumTotalBytes: 1, maximumJobBytes: 100_000)
        let dry = RetentionRun(of: policy, on: store, isDryRun: true)
        let expected = try await dry.run(now: Self.now, live: { [] })
        #expect(try await sizes(store) == before)
        let real = RetentionRun(of: policy, on: store)
        let report = try await real.run(now: Self.now, live: { [] })
        #expect(report == expected)
        #expect(try await sizes(store).isEmpty)
    }

    @Test func `what the archive does not take stays`() async throws {
        let store = MemoryLogStore()
        let jobs = try await fill(store, days: 4)
        let run = RetentionRun(
            of: RetentionPolicy(maximumAge: 0), on: store,
            archive: { job throws(StorageError) in
                if job == jobs[1] { throw .unavailable(reason: "the archive is down") }
            })
        let report = try await run.run(now: Self.now + 1, live: { [] })
        #expect(report.deletedJobs == [.age: 3])
        #expect(report.archivedJobs == 3)
        #expect(report.failures.map(\.job) == [jobs[1]])
        #expect(await store.jobs(after: nil, limit: 9) == [jobs[1]])
    }

    @Test func `what goes is in the archive before, whole`() async throws {
        try await withScratchDirectory { path in
            let store = try LocalGzipLogStore(directory: "\(path)/logs")
            let archive = try SQLiteLogStore(path: "\(path)/archive.db")
            let jobs = try await fill(store, days: 4)
            var before: [JobID: Transcript] = [:]
            for job in jobs { before[job] = try await store.transcript(of: LogQuery(job: job)) }
            let copy = LogCopy(from: store, to: archive)
            let policy = RetentionPolicy(maximumAge: 2 * Self.day + 1, maximumJobBytes: 20_000)
            let run = RetentionRun(
                of: policy, on: store,
                archive: { job throws(StorageError) in _ = try await copy.copy(job) })
            // Twice: what was trimmed by the first run is archived again by the second, with nothing to add.
            for (archived, now) in [(4, Self.now), (3, Self.now + 3 * Self.day)] {
                let report = try await run.run(now: now, live: { [] })
                #expect(report.archivedJobs == archived)
                #expect(report.failures.isEmpty)
            }
            #expect(try await store.jobs(after: nil, limit: 9).isEmpty)
            for job in jobs { #expect(try await archive.transcript(of: LogQuery(job: job)) == before[job]) }
        }
    }

    @Test func `a job whose files cannot be read, or are gone, is no obstacle`() async throws {
        try await withScratchDirectory { path in
            let store = try LocalGzipLogStore(directory: "\(path)/logs")
            let jobs = try await fill(store, days: 4)
            let index = URL(fileURLWithPath: "\(path)/logs/\(jobs[0])/index")
            var bytes = try Data(contentsOf: index)
            bytes[3] ^= 1
            try bytes.write(to: index)
            try FileManager.default.removeItem(atPath: "\(path)/logs/\(jobs[1])")
            // Of damaged files the time is that of their last write: now.
            let run = RetentionRun(of: RetentionPolicy(maximumAge: Self.day), on: store)
            let report = try await run.run(
                now: Tombstones.now() + 2 * Self.day, live: { Set(jobs[3...]) })
            #expect(report.examinedJobs == 3)
            #expect(report.failures.isEmpty)
            #expect(!FileManager.default.fileExists(atPath: "\(path)/logs/\(jobs[0])"))
        }
    }

    @Test(arguments: JobBackend.available)
    func `records of jobs that ended long ago go`(_ backend: JobBackend) async throws {
        try await backend.withFreshStore { subject in
            let store = subject.store
            var records: [JobRecord] = []
            for day in 0..<10 {
                var record = JobRecord(
                    id: .random(), node: NodeIdentity(id: "node-\(day % 2)", incarnation: "first"),
                    specification: JobSpecification(command: "/bin/true"), createdAt: Self.now - Int64(day) * Self.day)
                record.version = UInt64(day + 1)
                record.status = day == 9 ? .running : .completed
                record.endedAt = day == 9 ? nil : day == 8 ? Self.now : record.createdAt + 1
                records.append(record)
            }
            try await store.put(records)
            let time = Self.now - 4 * Self.day
            let (logs, metrics) = (MemoryLogStore(), MemoryMetricStore())
            let dry = JobRecordRetention(on: store, logs: logs, metrics: metrics, isDryRun: true, pageSize: 2)
            #expect(try await dry.run(endedBefore: time).deleted == 3)
            let run = JobRecordRetention(on: store, logs: logs, metrics: metrics, node: "node-1", pageSize: 1)
            let kept = records[7].id
            try await logs.append(FragmentRun("output"), to: records[5].id)
            #expect(try await run.run(endedBefore: time, isKept: { $0 == kept }).deleted == 0)
            await logs.delete(records[5].id)
            #expect(try await run.run(endedBefore: time, isKept: { $0 == kept }).deleted == 1)
            let left = try await store.list(JobQuery(), after: nil, limit: 100).records
            #expect(Set(left.map(\.id)) == Set(records.map(\.id)).subtracting([records[5].id]))
            let refusing = JobRecordRetention(on: store, logs: logs, metrics: metrics) { record throws(StorageError) in
                throw record.id == kept ? .notFound : .unavailable(reason: "test")
            }
            let refused = try await refusing.run(endedBefore: time)
            #expect(refused.deleted == 0 && refused.failures.map(\.job) == [records[6].id])
            _ = try await JobRecordRetention(on: store, logs: logs, metrics: metrics).run(endedBefore: time)
            #expect(try await store.list(JobQuery(), after: nil, limit: 100).records.count == 7)
            await #expect(throws: StorageError.self) { try await store.put([records[7]]) }
        }
    }

    @Test(arguments: [true, false])
    func `a tombstone stands for thirty days`(_ isSQLite: Bool) async throws {
        try await withScratchDirectory { path in
            let clock = Mutex(Self.now)
            let time: @Sendable () -> Int64 = { clock.withLock { $0 } }
            let store: any JobStore =
                isSQLite ? try SQLiteJobStore(path: "\(path)/jobs.db", now: time) : MemoryJobStore(now: time)
            let record = JobRecord(
                id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
                specification: JobSpecification(command: "/bin/true"), createdAt: 1)
            try await store.delete(record.id, version: 5)
            clock.withLock { $0 += Tombstones.lifetime }
            try await store.delete(.random(), version: 1)
            await #expect(throws: StorageError.self) { try await store.put([record]) }
            clock.withLock { $0 += 1 }
            try await store.delete(.random(), version: 1)
            try await store.put([record])
        }
    }

    private func sizes(_ store: any LogStore) async throws -> [JobID: UInt64] {
        let usages = try await store.usages(after: nil, limit: 1000)
        return Dictionary(uniqueKeysWithValues: usages.map { ($0.job, $0.storedBytes) })
    }
}
