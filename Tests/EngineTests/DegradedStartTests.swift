import Backends
import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

/// Starts while the store of job records is away.
@Suite(.enabled(if: Host.isRoot, "needs root"))
struct DegradedStartTests {
    /// Waits for the file `go`, then ends with 3.
    private static let waiting = JobRequest.script("echo one; until [ -e go ]; do sleep 0.01; done; echo two; exit 3")

    private func engine(_ harness: EngineHarness, _ jobs: FaultyJobStore) async throws -> JobEngine {
        try await harness.engine(jobs: jobs) { $0.startsDegraded = true }
    }

    private func expectUnavailable(_ body: () async throws -> Void) async {
        let error = await #expect(throws: EngineError.self) { try await body() }
        #expect(error?.code == .unavailable)
    }

    @Test
    func `the journal says which jobs run, new ones are taken, and only what the store alone knows is unavailable`()
        async throws
    {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let first = try await harness.engine(jobs: jobs)
        let old = try await first.end(of: try await first.run(JobRequest("true")).id)
        #expect(await soon { await first.isIdle })
        await first.shutdown(stoppingJobs: true)
        let second = try await harness.engine(jobs: jobs)
        let running = try await second.run(DegradedStartTests.waiting)
        // What the store has goes from the journal, but not the record of a job that runs.
        let journal = harness.directory.path + "/journal"
        #expect(await soon { !Directory.exists(journal + "/1.journal") })
        #expect(await soon { await second.shipper?.waiting == 0 })
        await second.shutdown(stoppingJobs: false)
        let third = try await harness.engine(jobs: jobs)
        #expect(await soon { await third.shipper?.waiting == 0 })
        await third.shutdown(stoppingJobs: false)
        #expect(Directory.exists(journal + "/2.journal"))

        await jobs.reads.goDown()
        await jobs.writes.goDown()
        let engine = try await engine(harness, jobs)
        #expect(try await engine.record(of: running.id).status == .running)
        let new = try await engine.run(JobRequest("echo", "new"))
        #expect(try await engine.end(of: new.id).status == .completed)
        #expect(try await engine.text(of: new.id) == "new\n")
        await expectUnavailable { _ = try await engine.record(of: old.id) }
        await expectUnavailable { _ = try await engine.list(JobQuery(), after: nil, limit: 10) }
        await expectUnavailable { _ = try await engine.resolve(running.id.short) }
        await expectUnavailable { try await engine.delete(old.id) }
        try writeFile(harness.work(of: running.id) + "/go")
        #expect(try await engine.end(of: running.id).exitCode == 3)
        #expect(try await engine.text(of: running.id) == "one\ntwo\n")

        await jobs.reads.comeBack()
        await jobs.writes.comeBack()
        #expect(await soon { await engine.openQuestions == nil })
        #expect(await soon { await engine.isIdle })
        let records = try await engine.list(JobQuery(), after: nil, limit: 10).records
        #expect(Set(records.map(\.id)) == [running.id, old.id, new.id])
        #expect(records.allSatisfy { $0.status.isTerminal })
        #expect(try await engine.text(of: running.id) == "one\ntwo\n")
        try await engine.delete(old.id)
        await engine.shutdown(stoppingJobs: true)
    }

    @Test func `a job that the journal lost runs on, and is taken over once the store names it`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let first = try await harness.engine(jobs: jobs)
        let lost = try await first.run(DegradedStartTests.waiting)
        let ends = try await first.run(DegradedStartTests.waiting)
        #expect(await soon { (try? await jobs.store.get(ends.id))?.status == .running })
        #expect(await soon { (try? await jobs.store.get(lost.id))?.status == .running })
        await first.shutdown(stoppingJobs: false)
        try FileManager.default.removeItem(atPath: harness.directory.path + "/journal")

        await jobs.reads.goDown()
        let engine = try await engine(harness, jobs)
        await expectUnavailable { _ = try await engine.record(of: lost.id) }
        // It might get the ids of one of them.
        await expectUnavailable { _ = try await engine.submit(JobRequest("true")) }
        try writeFile(harness.work(of: ends.id) + "/go")
        #expect(await soon { !isAlive(ends.pid) })
        #expect(isAlive(lost.pid))
        #expect(harness.outboxes.count == 2)

        await jobs.reads.comeBack()
        #expect(await soon { await engine.openQuestions == nil })
        #expect(try await engine.end(of: ends.id).exitCode == 3)
        #expect(try await engine.text(of: ends.id) == "one\ntwo\n")
        #expect(try await engine.record(of: lost.id).status == .running)
        _ = try await engine.run(JobRequest("true"))
        try writeFile(harness.work(of: lost.id) + "/go")
        #expect(try await engine.end(of: lost.id).exitCode == 3)
        #expect(try await engine.text(of: lost.id) == "one\ntwo\n")
        #expect(await soon { await engine.isIdle })
        await engine.shutdown(stoppingJobs: true)
        #expect(try await jobs.store.get(lost.id).exitCode == 3)
    }

    @Test func `what belongs to no known job stays until the store has answered, and retention waits for it`()
        async throws
    {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let logs = MemoryLogStore()
        try await harness.withEngine(jobs: jobs, logs: logs) { first in
            let ended = try await first.run(JobRequest("echo", "old"))
            _ = try await first.end(of: ended.id)
            #expect(await soon { await first.isIdle })
        }
        let stray = JobID.random()
        try Directory.create(harness.directory.path + "/outbox/\(stray)")
        try Directory.create(harness.directory.path + "/staging/\(stray)")
        await jobs.reads.goDown()
        let engine = try await harness.engine(jobs: jobs, logs: logs) { $0.startsDegraded = true }
        let all = RetentionPolicy(maximumAge: 0, maximumTotalBytes: nil, maximumJobBytes: nil)
        let error = await #expect(throws: StorageError.self) { try await engine.pruneLogs(all, archive: nil) }
        if case .unavailable = error {} else { Issue.record("\(String(describing: error))") }
        #expect(harness.outboxes.contains("\(stray)"))
        #expect(Directory.exists(harness.directory.path + "/staging/\(stray)"))
        await jobs.reads.comeBack()
        #expect(await soon { harness.outboxes.isEmpty })
        #expect(await soon { !Directory.exists(harness.directory.path + "/staging/\(stray)") })
        #expect(await soon { await engine.isIdle })
        #expect(try await engine.pruneLogs(all, archive: nil).deletedJobs.values.reduce(0, +) == 1)
        await engine.shutdown(stoppingJobs: true)
    }

    @Test func `a job deleted while a store was away stays deleted after a start without the other`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let first = try await harness.engine(jobs: jobs)
        let job = try await first.run(JobRequest("echo", "secret"))
        _ = try await first.end(of: job.id)
        await jobs.writes.goDown()
        try await first.delete(job.id)
        await first.shutdown(stoppingJobs: true)
        await jobs.reads.goDown()
        let engine = try await engine(harness, jobs)
        let missing = EngineError(.notFound, "job not found: \(job.id)")
        await #expect(throws: missing) { try await engine.record(of: job.id) }
        await jobs.reads.comeBack()
        await jobs.writes.comeBack()
        #expect(await soon { await engine.isIdle })
        await #expect(throws: missing) { try await engine.record(of: job.id) }
        await engine.shutdown(stoppingJobs: true)
        await #expect(throws: StorageError.notFound) { try await jobs.store.get(job.id) }
    }

    @Test func `a copied node takes no more jobs once a store that did not answer shows whose node it is`() async throws
    {
        let jobs = FaultyJobStore()
        let harness = try EngineHarness()
        let first = try await harness.engine(jobs: jobs) { $0.nodeID = "node-a" }
        let record = try await first.end(of: try await first.run(JobRequest("true")).id)
        #expect(await soon { await first.isIdle })
        await first.shutdown(stoppingJobs: true)

        let copy = try EngineHarness()
        // It takes a call and does not come back to it.
        await jobs.reads.stall()
        let engine = try await copy.engine(jobs: jobs) { configuration in
            configuration.nodeID = "node-a"
            configuration.startsDegraded = true
        }
        let job = try await engine.run(DegradedStartTests.waiting)
        await jobs.reads.release()
        #expect(await soon { await engine.openQuestions?.refusal != nil })
        let error = await #expect(throws: EngineError.self) { try await engine.submit(JobRequest("true")) }
        #expect(error?.code == .failedPrecondition)
        #expect(error?.message.contains("node-a") == true)
        // What it took before is served to its end.
        try writeFile(copy.work(of: job.id) + "/go")
        #expect(try await engine.end(of: job.id).exitCode == 3)
        await engine.shutdown(stoppingJobs: true)
        #expect(await jobs.store.list(JobQuery(), after: nil, limit: 10).records == [record])
    }
}
