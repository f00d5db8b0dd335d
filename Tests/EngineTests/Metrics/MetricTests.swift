import Backends
import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct MetricTests {
    /// Samples often enough that a test sees many.
    private static let quick: @Sendable (inout EngineConfiguration) -> Void = { $0.metricInterval = 20_000_000 }

    /// Runs until the file `go` is there.
    private static let waiting = JobRequest.script("until [ -e go ]; do sleep 0.01; done")

    @Test func `a job has a sample at its start and one at its exit, however long the interval`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.metricInterval = 3_600_000_000_000 }) { engine in
            let job = try await engine.run(JobRequest("true"))
            let end = try await engine.end(of: job.id)
            // The last sample is there before the end is told.
            let samples = try await engine.samples(of: job.id, follows: false)
            #expect(samples.map(\.sequence) == [0, 1])
            #expect(samples[0].time >= end.createdAt)
            #expect(samples[0].time <= samples[1].time)
            let endedAt = try #require(end.endedAt)
            #expect(samples[1].time >= endedAt - 1_000_000)
            let last = try #require(samples.last)
            #expect(try last.value("process_current") == 0)
            #expect(try last.value("cpu_usage_usec") > 0)
            #expect(await soon { await engine.isIdle })
            #expect(try await engine.samples(of: job.id) == samples)
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `what a job burns and holds is what its samples say`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: MetricTests.quick) { engine in
            // 64 MiB in memory, a busy loop, two processes; then it waits.
            var request = JobRequest.script(
                """
                sleep 1000 &
                head -c 67108864 /dev/zero > /dev/shm/block || head -c 67108864 /dev/zero > /tmp/block
                i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done
                touch done; until [ -e go ]; do sleep 0.01; done
                """)
            request.memoryMegabytes = 256
            let job = try await engine.run(request)
            #expect(await soon { FileManager.default.fileExists(atPath: harness.work(of: job.id) + "/done") })
            // The next two samples were read after that.
            let seen = try await engine.samples(of: job.id, follows: false).count
            let samples = try await engine.samples(of: job.id, count: seen + 2)
            let sample = try #require(samples.last)
            #expect(try sample.value("process_current") >= 2)
            #expect(try sample.value("process_threads") >= 2, "\(sample)")
            #expect(try sample.value("process_sleeping") >= 1)
            #expect(try sample.value("process_open_fds") >= 2)
            #expect(try sample.value("process_max_fds") > 0)
            #expect(try sample.value("memory_current") >= 60 * 1_048_576)
            #expect(try sample.value("memory_max") == 256 * 1_048_576)
            let share = try sample.value("memory_percent")
            #expect(share > 20 && share <= 100)
            #expect(try sample.value("memory_vms") > 0)
            let usage = try sample.value("cpu_usage_usec")
            #expect(usage > 20_000)
            let parts = try sample.value("cpu_user_usec") + sample.value("cpu_system_usec")
            // The kernel tells them apart by its ticks.
            #expect(abs(parts - usage) < 150_000 + usage / 5)
            // A counter never falls, and a rate is what the counter grew.
            for (before, after) in zip(samples, samples.dropFirst()) {
                #expect(after.time >= before.time)
                #expect(try after.value("cpu_usage_usec") >= before.value("cpu_usage_usec"))
            }
            let rated = try zip(samples, samples.dropFirst()).reduce(0.0) { sum, pair in
                try sum + pair.1.value("cpu_percent") / 100 * Double(pair.1.time - pair.0.time) / 1000
            }
            let used = try usage - samples[0].value("cpu_usage_usec")
            #expect(abs(rated - used) < 0.3 * used + 200_000)
            try writeFile(harness.work(of: job.id) + "/go")
            _ = try await engine.end(of: job.id)
        }
    }

    @Test func `live, from the outbox and from the store a reader sees the same`() async throws {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        try await harness.withEngine(metrics: metrics, configure: MetricTests.quick) { engine in
            let job = try await engine.run(MetricTests.waiting)
            let live = Task { try await engine.samples(of: job.id) }
            #expect(await soon { await metrics.store.end(of: job.id) ?? 0 > 30 })
            let history = try await engine.samples(of: job.id, follows: false)
            try writeFile(harness.work(of: job.id) + "/go")
            _ = try await engine.end(of: job.id)
            let all = try await live.value
            #expect(all.map(\.sequence) == Array(0..<UInt64(all.count)))
            #expect(Array(all.prefix(history.count)) == history)
            #expect(await soon { await engine.isIdle })
            #expect(try await engine.samples(of: job.id) == all)
            let stored = try await metrics.store.read(MetricQuery(job: job.id), from: 0, limit: .max).samples
            #expect(stored == all)
            // A range of times, both ends included.
            let (from, to) = (all[5].time, all[20].time)
            let part = try await engine.samples(MetricQuery(job: job.id, since: from, until: to))
            #expect(part == all.filter { $0.time >= from && $0.time <= to })
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `while the store is away samples wait, also through restarts, and none is lost or doubled`() async throws
    {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        let logs = MemoryLogStore()
        await metrics.writes.goDown()
        var seen: [MetricSample] = []
        var job: JobRecord?
        for turn in 0..<3 {
            let engine = try await harness.engine(logs: logs, metrics: metrics, configure: MetricTests.quick)
            if job == nil { job = try await engine.run(MetricTests.waiting) }
            let id = try #require(job?.id)
            let samples = try await engine.samples(of: id, count: seen.count + 15)
            #expect(Array(samples.prefix(seen.count)) == seen)
            seen = try await engine.samples(of: id, follows: false)
            #expect(seen.map(\.sequence) == Array(0..<UInt64(seen.count)))
            // The last turn's store takes samples and does not make them durable.
            if turn == 1 {
                await metrics.syncs.goDown()
                await metrics.writes.comeBack()
                #expect(await soon { await metrics.store.end(of: id) ?? 0 > 0 })
            }
            await engine.shutdown(stoppingJobs: false)
        }
        await metrics.syncs.comeBack()
        let id = try #require(job?.id)
        try await harness.withEngine(logs: logs, metrics: metrics, configure: MetricTests.quick) { engine in
            try writeFile(harness.work(of: id) + "/go")
            _ = try await engine.end(of: id)
            #expect(await soon { await engine.isIdle })
            let all = try await engine.samples(of: id)
            #expect(all.map(\.sequence) == Array(0..<UInt64(all.count)))
            #expect(Array(all.prefix(seen.count)) == seen)
            #expect(all.count > seen.count)
            for (before, after) in zip(all, all.dropFirst()) { #expect(before.time <= after.time) }
            // Rates go on where an earlier daemon stopped.
            #expect(all.allSatisfy { $0.points.contains { $0.values["cpu_percent"] != nil } })
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `the store shows a sample at once where the next one is far, and makes it durable with others`()
        async throws
    {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        try await harness.withEngine(metrics: metrics, configure: { $0.metricInterval = 3_600_000_000_000 }) { engine in
            await metrics.syncs.goDown()
            let job = try await engine.run(JobRequest("sleep", "1000"))
            #expect(await soon { await metrics.store.end(of: job.id) == 1 })
            #expect(await metrics.syncs.failures == 0)
            #expect(try await engine.samples(of: job.id, count: 1).count == 1)
            await metrics.syncs.comeBack()
        }
    }

    @Test func `samples wait for each other as long as their age allows`() async throws {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        let configure: (inout EngineConfiguration) -> Void = {
            ($0.metricInterval, $0.maxShipAge) = (20_000_000, 60_000_000_000)
        }
        try await harness.withEngine(metrics: metrics, configure: configure) { engine in
            let job = try await engine.run(JobRequest("sleep", "1000"))
            #expect(await soon { await metrics.store.end(of: job.id) != nil })
            #expect(try #require(await metrics.store.end(of: job.id)) >= UInt64(MetricOutbox.batch))
        }
    }

    @Test func `a job that ends while there is no daemon has its last sample at the next start`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let job = try await first.run(
            .script("until [ -e go ]; do sleep 0.01; done; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"))
        let before = try await first.samples(of: job.id, count: 1)
        await first.shutdown(stoppingJobs: false)
        try writeFile(harness.work(of: job.id) + "/go")
        #expect(await soon { !isAlive(job.pid) })
        try await harness.withEngine { engine in
            _ = try await engine.end(of: job.id)
            let samples = try await engine.samples(of: job.id)
            #expect(samples.count > before.count)
            #expect(samples.map(\.sequence) == Array(0..<UInt64(samples.count)))
            let last = try #require(samples.last)
            #expect(try last.value("cpu_usage_usec") > before[0].value("cpu_usage_usec") + 5_000)
            #expect(try last.value("process_current") == 0)
            #expect(await soon { await engine.isIdle })
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `the control groups of a job are gone once its end is recorded, whoever lived`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let done = try await first.run(JobRequest("true"))
        _ = try await first.end(of: done.id)
        #expect(await soon { !first.cgroups.existing().contains(done.id) })
        let orphan = try await first.run(MetricTests.waiting)
        await first.shutdown(stoppingJobs: false)
        try writeFile(harness.work(of: orphan.id) + "/go")
        #expect(await soon { !Kernel.Directory.exists("/proc/\(orphan.pid)") })
        for shim in harness.shims { kill(shim, SIGKILL) }
        #expect(await soon { harness.shims.isEmpty })
        try await harness.withEngine { engine in
            #expect(try await engine.end(of: orphan.id).status == .completed)
            let samples = try await engine.samples(of: orphan.id)
            #expect(try samples.last?.value("process_current") == 0)
            #expect(await soon { engine.cgroups.existing().isEmpty })
        }
    }

    @Test func `a deleted job has no samples, also where its store was away`() async throws {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        let configure: (inout EngineConfiguration) -> Void = { $0.metricInterval = 3_600_000_000_000 }
        try await harness.withEngine(metrics: metrics, configure: configure) { engine in
            let job = try await engine.run(JobRequest("true"))
            _ = try await engine.end(of: job.id)
            #expect(await soon { await engine.isIdle })
            #expect(await metrics.store.end(of: job.id) == 2)
            await metrics.deletions.goDown()
            try await engine.delete(job.id)
            #expect(await soon { await metrics.deletions.failures > 0 })
            #expect(await engine.deleted == [job.id])
            await metrics.deletions.comeBack()
            #expect(await soon { await engine.isIdle })
            #expect(await metrics.store.end(of: job.id) == nil)
            #expect(try await engine.samples(of: job.id) == [])
        }
    }

    @Test func `a job whose samples wait for their store can be deleted`() async throws {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        try await harness.withEngine(metrics: metrics) { engine in
            await metrics.writes.stall()
            let job = try await engine.run(JobRequest("echo", "x"))
            _ = try await engine.end(of: job.id)
            await metrics.writes.untilHeld()
            #expect(harness.outboxes == ["\(job.id)"])
            try await engine.delete(job.id)
            #expect(await soon { await engine.deleted.isEmpty })
            await metrics.writes.release()
            #expect(await soon { await engine.isIdle })
            #expect(await metrics.store.end(of: job.id) == nil)
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `samples of several jobs are shipped at the same time`() async throws {
        let harness = try EngineHarness()
        let metrics = FaultyMetricStore()
        // Samples are those of the start and the end, and go with the end of their job, however long it takes.
        let configure: (inout EngineConfiguration) -> Void = {
            ($0.metricInterval, $0.maxShipAge) = (3_600_000_000_000, 60_000_000_000)
        }
        try await harness.withEngine(metrics: metrics, configure: configure) { engine in
            await metrics.writes.stall()
            let first = try await engine.run(JobRequest("true")).id
            _ = try await engine.end(of: first)
            await metrics.writes.untilHeld()
            // These wait for the first one, and then go together.
            var jobs: [JobID] = []
            for _ in 0..<5 { jobs.append(try await engine.run(JobRequest("true")).id) }
            for job in jobs { _ = try await engine.end(of: job) }
            await metrics.syncs.stall()
            await metrics.writes.release()
            await metrics.syncs.untilHeld()
            await metrics.writes.stall()
            await metrics.syncs.release()
            #expect(await soon { await metrics.writes.heldCount == 5 })
            await metrics.writes.release()
            #expect(await soon { await engine.isIdle })
            for job in [first] + jobs { #expect(await metrics.store.end(of: job) == 2) }
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `a viewer of a job that goes on is told of the shutdown`() async throws {
        let harness = try EngineHarness()
        let engine = try await harness.engine()
        let job = try await engine.run(JobRequest("sleep", "1000"))
        _ = try await engine.samples(of: job.id, count: 1)
        let viewer = Task { try await engine.samples(of: job.id) }
        await engine.shutdown(stoppingJobs: false)
        do {
            _ = try await viewer.value
            Issue.record("the samples of a running job ended")
        } catch let error as EngineError {
            #expect(error.code == .unavailable)
        }
    }
}

extension JobEngine {
    /// The samples of a job that there are, and where `follows` those to come.
    func samples(of job: JobID, follows: Bool = true) async throws -> [MetricSample] {
        try await samples(MetricQuery(job: job), follows: follows)
    }

    /// The samples that match.
    func samples(_ query: MetricQuery, follows: Bool = true) async throws -> [MetricSample] {
        var samples: [MetricSample] = []
        try await metrics.read(query, follows: follows) { samples += $0 }
        return samples
    }

    /// The samples of a job as soon as there are `count`.
    func samples(of job: JobID, count: Int) async throws -> [MetricSample] {
        struct Enough: Error {}
        var samples: [MetricSample] = []
        do {
            try await metrics.read(MetricQuery(job: job), follows: true) { page in
                samples += page
                if samples.count >= count { throw Enough() }
            }
        } catch is Enough {}
        return samples
    }
}

extension MetricSample {
    /// A value of the whole job.
    func value(_ name: String) throws -> Double {
        try #require(points.filter(\.labels.isEmpty).compactMap { $0.values[name] }.first, "no \(name) in \(points)")
    }
}
