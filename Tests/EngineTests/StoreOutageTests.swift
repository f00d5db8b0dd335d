import Backends
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct StoreOutageTests {
    @Test func `a start without the job store fails, and succeeds once it is back`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let first = try await harness.engine(jobs: jobs)
        let job = try await first.run(.script("until [ -e go ]; do sleep 0.01; done"))
        await jobs.writes.goDown()
        let unstored = try await first.run(JobRequest("true"))
        _ = try await first.end(of: unstored.id)
        await first.shutdown(stoppingJobs: false)
        await jobs.writes.comeBack()
        await jobs.reads.goDown()
        let engine = try harness.makeEngine(jobs: jobs)
        do {
            try await engine.start()
            Issue.record("started without its job store")
        } catch {
            #expect(error.code == .unavailable)
        }
        await jobs.reads.comeBack()
        try await engine.start()
        #expect(try await engine.record(of: job.id).status == .running)
        #expect(try await engine.record(of: unstored.id).status == .completed)
        try writeFile(harness.work(of: job.id) + "/go")
        #expect(try await engine.end(of: job.id).status == .completed)
        #expect(await soon { await engine.isIdle })
        await engine.shutdown(stoppingJobs: true)
        #expect(try await jobs.store.get(unstored.id).status == .completed)
        #expect(try await jobs.store.get(job.id).status == .completed)
    }

    @Test func `of versions that wait together the job store gets the last`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        try await harness.withEngine(jobs: jobs) { engine in
            await jobs.writes.stall()
            _ = try await engine.run(JobRequest("true"))
            await jobs.writes.untilHeld()
            let job = try await engine.run(JobRequest("true"))
            let last = try await engine.end(of: job.id)
            #expect(last.version == 3)
            await jobs.writes.release()
            #expect(await soon { await engine.isIdle })
            #expect(await jobs.puts.records.filter { $0.id == job.id } == [last])
            #expect(try await jobs.store.get(job.id) == last)
        }
    }

    @Test func `jobs run while the job store is away, and leave memory once their records are stored`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        try await harness.withEngine(jobs: jobs) { engine in
            await jobs.writes.goDown()
            var ids: [JobID] = []
            for number in 0..<5 {
                let record = try await engine.run(JobRequest("echo", "\(number)"))
                ids.append(record.id)
                _ = try await engine.end(of: record.id)
            }
            let page = try await engine.list(JobQuery(statuses: [.completed]), after: nil, limit: 100)
            #expect(page.records.map(\.id) == ids)
            #expect(try await engine.resolve(String("\(ids[2])".prefix(13))) == ids[2])
            #expect(await engine.hot.count == 5)
            await jobs.writes.comeBack()
            #expect(await soon { await engine.hot.isEmpty })
            for id in ids { #expect(try await jobs.store.get(id).status == .completed) }
            #expect(try await engine.list(JobQuery(), after: nil, limit: 100).records.map(\.id) == ids)
        }
    }

    @Test func `live viewers see everything while the log store is away, and the outbox drains afterwards`()
        async throws
    {
        let harness = try EngineHarness()
        let logs = FaultyLogStore()
        try await harness.withEngine(logs: logs) { engine in
            await logs.writes.goDown()
            let job = try await engine.run(.script("seq 1 20000; until [ -e go ]; do sleep 0.01; done; echo end"))
            var seen = 0
            for try await page in pages(of: job.id, engine) {
                seen += page.bytes.count
                if seen >= 108_894, !Directory.exists(harness.work(of: job.id) + "/go") {
                    try writeFile(harness.work(of: job.id) + "/go")
                }
            }
            #expect(seen == 108_894 + 4)
            _ = try await engine.end(of: job.id)
            #expect(await logs.store.end(of: job.id) == nil)
            #expect(harness.outboxes.count == 1)
            await logs.writes.comeBack()
            #expect(await soon { await logs.store.end(of: job.id) == UInt64(seen) && harness.outboxes.isEmpty })
            #expect(await soon { await engine.hot.isEmpty })
            #expect(try await engine.bytes(of: job.id).count == seen)
        }
    }

    @Test func `a deleted job stays away while a store is down, also after a restart, and is then gone`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let logs = FaultyLogStore()
        let first = try await harness.engine(jobs: jobs, logs: logs)
        let job = try await first.run(.script("echo secret"))
        _ = try await first.end(of: job.id)
        #expect(await soon { await first.hot.isEmpty })
        await logs.deletions.goDown()
        try await first.delete(job.id)
        let missing = EngineError(.notFound, "job not found: \(job.id)")
        await #expect(throws: missing) { try await first.record(of: job.id) }
        await #expect(throws: missing) { try await first.delete(job.id) }
        #expect(try await first.list(JobQuery(), after: nil, limit: 10).records.isEmpty)
        await #expect(throws: EngineError.self) { try await first.resolve(job.id.short) }
        // Other records are stored meanwhile.
        let other = try await first.run(JobRequest("true"))
        _ = try await first.end(of: other.id)
        #expect(await soon { await first.hot.isEmpty })
        await first.shutdown(stoppingJobs: true)
        #expect(try await jobs.store.get(job.id).status == .completed)

        try await harness.withEngine(jobs: jobs, logs: logs) { engine in
            await #expect(throws: missing) { try await engine.record(of: job.id) }
            let page = try await engine.list(JobQuery(), after: nil, limit: 10)
            #expect(page.records.map(\.id) == [other.id])
            await logs.deletions.comeBack()
            #expect(await soon { await engine.deleted.isEmpty })
        }
        await #expect(throws: StorageError.notFound) { try await jobs.store.get(job.id) }
        #expect(await logs.store.end(of: job.id) == nil)
        #expect(!Directory.exists(harness.work(of: job.id)))
    }

    @Test func `a job is deleted while its log is being shipped`() async throws {
        let harness = try EngineHarness()
        let logs = FaultyLogStore()
        try await harness.withEngine(logs: logs) { engine in
            await logs.writes.stall()
            let job = try await engine.run(JobRequest("seq", "1", "1000"))
            _ = try await engine.end(of: job.id)
            await logs.writes.untilHeld()
            try await engine.delete(job.id)
            #expect(await soon { await engine.deleted.isEmpty })
            await logs.writes.release()
            #expect(await soon { await engine.isIdle })
            #expect(await logs.store.end(of: job.id) == nil)
            #expect(try await engine.text(of: job.id) == "")
        }
    }

    @Test func `a record that its store never takes stops no other`() async throws {
        let harness = try EngineHarness()
        for poison in [
            StorageError.unavailable(reason: "poison"), .refused(reason: "poison"), .quota(reason: "poison"),
        ] {
            let jobs = FaultyJobStore(poison: poison)
            try await harness.withEngine(jobs: jobs) { engine in
                var request = JobRequest("true")
                request.name = FaultyJobStore.poisonedName
                let poisoned = try await engine.run(request)
                var others: [JobID] = []
                for _ in 0..<3 { others.append(try await engine.run(JobRequest("true")).id) }
                for id in others { _ = try await engine.end(of: id) }
                #expect(await soon { await engine.hot.count == 1 })
                for id in others { #expect(try await jobs.store.get(id).status == .completed) }
                #expect(try await engine.end(of: poisoned.id).status == .completed)
                // It can still be deleted.
                try await engine.delete(poisoned.id)
                #expect(await soon { await engine.isIdle })
            }
        }
    }

    private func pages(of job: JobID, _ engine: JobEngine) -> AsyncThrowingStream<LogPage, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    try await engine.logs.read(.init(query: LogQuery(job: job), follows: true)) {
                        continuation.yield($0)
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}
