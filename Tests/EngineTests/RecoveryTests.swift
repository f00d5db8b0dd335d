import Backends
import Foundation
import Kernel
import Sandbox
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct RecoveryTests {
    /// Waits for the file `go`, then ends with 3.
    private static let waiting = JobRequest.script("echo one; until [ -e go ]; do sleep 0.01; done; echo two; exit 3")

    @Test func `a job that ends while there is no daemon has its exit and its log at the next start`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let job = try await first.run(RecoveryTests.waiting)
        await first.shutdown(stoppingJobs: false)
        let before = try await first.record(of: job.id)
        #expect(before.status == .running)
        try writeFile(harness.work(of: job.id) + "/go")
        #expect(await soon { !isAlive(job.pid) })
        try await harness.withEngine { engine in
            let end = try await engine.end(of: job.id)
            #expect(end.status == .failed)
            #expect(end.exitCode == 3)
            #expect(try await engine.text(of: job.id) == "one\ntwo\n")
            #expect(await soon { await engine.isIdle })
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `a job that ends while no daemon and no supervisor lives has its exit and its log`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let job = try await first.run(RecoveryTests.waiting)
        let lost = try await first.run(JobRequest("sleep", "1000"))
        await first.shutdown(stoppingJobs: false)
        try writeFile(harness.work(of: job.id) + "/go")
        // The supervisor records an exit before it reaps.
        #expect(await soon { !Directory.exists("/proc/\(job.pid)") })
        for shim in harness.shims { kill(shim, SIGKILL) }
        #expect(await soon { harness.shims.isEmpty })
        try await harness.withEngine { engine in
            let end = try await engine.end(of: job.id)
            #expect(end.exitCode == 3)
            #expect(end.reason == "")
            #expect(try await engine.text(of: job.id) == "one\ntwo\n")
            #expect(try await engine.end(of: lost.id).reason == "supervisor lost")
            #expect(try await engine.text(of: lost.id) == "")
        }
        #expect(!isAlive(lost.pid))
    }

    @Test(arguments: [
        (JobStatus.initializing, true, "node restarted"), (.running, true, "node restarted"),
        (.running, false, "supervisor lost"),
    ])
    func `a job that no supervisor knows is FAILED with the reason`(
        status: JobStatus, hasRebooted: Bool, reason: String
    ) async throws {
        let harness = try EngineHarness()
        let jobs = MemoryJobStore()
        let first = try await harness.engine(jobs: jobs)
        await first.shutdown(stoppingJobs: false)
        var record = JobRecord(
            id: .random(), node: first.identity, specification: JobSpecification(command: "x"), createdAt: 5)
        record.status = status
        record.startedAt = status == .running ? 6 : nil
        record.lease = JobLease(
            startToken: 7, idRange: nil, bootID: hasRebooted ? "another boot" : DataDirectory.bootID())
        // Known by the store alone, as after a journal file was shipped and removed.
        try await jobs.put([record])
        try await harness.withEngine(jobs: jobs) { engine in
            let end = try await engine.end(of: record.id)
            #expect(end.status == .failed)
            #expect(end.reason == reason)
            #expect(end.version == 2)
            #expect(end.lease == nil)
            #expect(try await engine.text(of: record.id) == "")
            #expect(await soon { await engine.isIdle })
        }
        #expect(try await jobs.get(record.id).reason == reason)
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `an accepted job that no supervisor had yet is started by the next daemon`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        await first.shutdown(stoppingJobs: false)
        var specification = JobSpecification(command: "cat")
        specification.arguments = ["upload"]
        specification.workDirectory = "/work"
        var record = JobRecord(id: .random(), node: first.identity, specification: specification, createdAt: 5)
        record.lease = JobLease(startToken: 7, idRange: 0x7000_0000, bootID: DataDirectory.bootID())
        try FileManager.default.createDirectory(
            atPath: "\(harness.directory.path)/staging/\(record.id)", withIntermediateDirectories: true)
        try writeFile("\(harness.directory.path)/staging/\(record.id)/upload", "staged\n")
        let journal = try StateJournal(directory: harness.directory.path + "/journal")
        _ = try await journal.append(.record(record), durability: .process)
        try await harness.withEngine { engine in
            let end = try await engine.end(of: record.id)
            #expect(end.status == .completed, "\(end.reason)")
            #expect(try await engine.text(of: record.id) == "staged\n")
            #expect(await soon { await engine.isIdle })
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `an accepted job of which a supervisor left traces is not started again`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        await first.shutdown(stoppingJobs: false)
        var record = JobRecord(
            id: .random(), node: first.identity, specification: JobSpecification(command: "true"), createdAt: 5)
        record.lease = JobLease(startToken: 7, idRange: 0x7000_0000, bootID: DataDirectory.bootID())
        try FileManager.default.createDirectory(
            atPath: "\(harness.directory.path)/outbox/\(record.id)", withIntermediateDirectories: true)
        let journal = try StateJournal(directory: harness.directory.path + "/journal")
        _ = try await journal.append(.record(record), durability: .process)
        try await harness.withEngine { engine in
            let end = try await engine.end(of: record.id)
            #expect(end.reason == "supervisor lost")
            #expect(try await engine.text(of: record.id) == "")
        }
    }

    @Test func `new jobs go to an upgraded supervisor, the old one serves its jobs and ends`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let old = try await first.run(RecoveryTests.waiting)
        await first.shutdown(stoppingJobs: false)
        let shim = try #require(harness.shims.first)
        let upgraded = harness.directory.path + "/joblet-shim"
        try FileManager.default.copyItem(atPath: Products.path("joblet-shim"), toPath: upgraded)
        try await harness.withEngine(configure: { $0.shimProgram = upgraded }) { engine in
            let new = try await engine.run(RecoveryTests.waiting)
            // A child that is being cloned looks like its shim for a moment.
            #expect(await soon { harness.shims.count == 2 })
            let supervisors = await engine.hot.mapValues(\.supervisor)
            #expect(supervisors[old.id] != supervisors[new.id])
            for job in [old, new] {
                try writeFile(harness.work(of: job.id) + "/go")
                #expect(try await engine.end(of: job.id).exitCode == 3)
                #expect(try await engine.text(of: job.id) == "one\ntwo\n")
            }
            #expect(await soon { !harness.shims.contains(shim) })
            #expect(harness.shims.count == 1)
            #expect(
                await soon {
                    !Directory.exists(
                        harness.runDirectory.path + "/" + engine.identity.incarnation.prefix(8) + "/shim-1")
                })
        }
    }

    @Test func `a start does not wait for a frozen supervisor for ever, and adopts its jobs when it answers`()
        async throws
    {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let job = try await first.run(RecoveryTests.waiting)
        await first.shutdown(stoppingJobs: false)
        let shim = try #require(harness.shims.first)
        kill(shim, SIGSTOP)
        try await harness.withEngine { engine in
            #expect(try await engine.record(of: job.id).status == .running)
            let other = try await engine.run(JobRequest("true"))
            #expect(try await engine.end(of: other.id).status == .completed)
            kill(shim, SIGCONT)
            try writeFile(harness.work(of: job.id) + "/go")
            #expect(try await engine.end(of: job.id).exitCode == 3)
            #expect(try await engine.text(of: job.id) == "one\ntwo\n")
        }
    }

    @Test func `copies of /etc that no job uses go at a start, and stay while one runs`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let old = "\(first.runDirectory)/etc.old"
        let job = try await first.run(JobRequest("sleep", "1000"))
        await first.shutdown(stoppingJobs: false)
        try Directory.create(old)
        let second = try await harness.engine()
        // As a start does it, and here waited for.
        await second.removeUnused()
        #expect(Directory.exists(old))
        _ = try await second.stop(job.id)
        await second.shutdown(stoppingJobs: false)
        try await harness.withEngine { engine in
            #expect(await soon { !Directory.exists(old) })
            #expect(Directory.exists(engine.planner.etc.path))
        }
    }

    @Test func `a data directory copied to another machine cannot write under the same node id`() async throws {
        let jobs = MemoryJobStore()
        let harness = try EngineHarness()
        let record: JobRecord
        let engine = try await harness.engine(jobs: jobs, configure: { $0.nodeID = "node-a" })
        record = try await engine.run(JobRequest("true"))
        _ = try await engine.end(of: record.id)
        #expect(await soon { await engine.isIdle })
        await engine.shutdown(stoppingJobs: true)
        #expect(try await jobs.get(record.id).node.id == "node-a")
        let copy = try EngineHarness()
        do {
            _ = try await copy.engine(jobs: jobs, configure: { $0.nodeID = "node-a" })
            Issue.record("the copy started")
        } catch let error as EngineError {
            #expect(error.code == .failedPrecondition)
            #expect(error.message.contains("node-a"))
        }
        try await copy.withEngine(jobs: jobs, configure: { $0.nodeID = "node-b" }) { engine in
            // One store, two nodes: neither deletes the other's jobs.
            await #expect(throws: EngineError.self) { try await engine.delete(record.id) }
        }
        #expect(try await jobs.get(record.id).status == .completed)
    }

    @Test func `control groups and staged uploads of no job are removed at the start`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        await first.shutdown(stoppingJobs: false)
        let id = JobID.random()
        let plan = try first.cgroups.plan(for: id, limits: JobLimits())
        for directory in plan.directories { try Directory.create(directory) }
        try Directory.create(harness.directory.path + "/staging/\(id)/deep")
        try await harness.withEngine { engine in
            #expect(await soon { engine.cgroups.existing().isEmpty })
            #expect(!Directory.exists(harness.directory.path + "/staging/\(id)"))
        }
    }

    @Test func `a second engine on the same data directory is refused`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { _ in
            do {
                _ = try harness.makeEngine(jobs: MemoryJobStore())
                Issue.record("two engines on one directory")
            } catch let error as EngineError {
                #expect(error.code == .failedPrecondition)
            }
        }
        try await harness.withEngine { _ in }
    }
}
