import Backends
import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct AdmissionTests {
    @Test func `no more jobs run than allowed, however many are asked for at once`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.maxConcurrentJobs = 3 }) { engine in
            let runs = (0..<12).map { _ in
                Task { () -> JobRecord? in
                    do {
                        return try await engine.run(JobRequest("sleep", "1000"))
                    } catch let error as EngineError {
                        #expect(error.code == .resourceExhausted)
                        return nil
                    }
                }
            }
            var accepted: [JobRecord] = []
            for run in runs { if let record = try await run.value { accepted.append(record) } }
            #expect(accepted.count == 3)
            #expect(Set(accepted.compactMap { $0.lease?.idRange }).count == 3)
            _ = try await engine.stop(accepted[0].id)
            #expect(await soon { await engine.unfinished.count == 2 })
            #expect(try await engine.run(JobRequest("true")).status != .failed)
        }
    }

    @Test func `id ranges are given once, back at the end, and refused where none is left`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.idRanges = 2 }) { engine in
            let first = try await engine.run(JobRequest("sleep", "1000"))
            let second = try await engine.run(JobRequest("sleep", "1000"))
            #expect(first.lease?.idRange != second.lease?.idRange)
            await #expect(throws: EngineError(.resourceExhausted, "no id range is free (sandbox.idRange.count)")) {
                try await engine.run(JobRequest("true"))
            }
            _ = try await engine.stop(first.id)
            #expect(await soon { await engine.unfinished.count == 1 })
            let third = try await engine.run(JobRequest("true"))
            #expect(third.status != .failed)
        }
    }

    @Test(.enabled(if: !Host.hasUnifiedCgroups, "needs cgroup v1"))
    func `a directory for groups of v2 is refused on a host with v1`() throws {
        let harness = try EngineHarness()
        let error = #expect(throws: EngineError.self) {
            _ = try harness.makeEngine(configure: { $0.cgroupBase = "/sys/fs/cgroup/elsewhere" })
        }
        #expect(error?.message.contains("cgroup.baseDir needs cgroup v2, this host has v1") == true)
    }

    @Test func `a job id in use is refused and leaves the first job alone`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let first = try await engine.run(JobRequest("sleep", "1000"))
            await #expect(throws: EngineError(.invalidArgument, "job id \(first.id) is in use")) {
                try await engine.run(JobRequest("true"), id: first.id)
            }
            #expect(try await engine.stop(first.id).status == .stopped)
        }
    }

    @Test func `a job that is stopped before it runs is stopped as soon as it does`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            _ = try await engine.run(JobRequest("true"))
            let shim = try #require(harness.shims.first)
            kill(shim, SIGSTOP)
            defer { kill(shim, SIGCONT) }
            let id = JobID.random()
            let run = Task { try await engine.run(JobRequest("sleep", "1000"), id: id) }
            #expect(await soon { await engine.hot[id]?.supervisor != nil })
            let stops = (0..<2).map { _ in Task { try await engine.stop(id) } }
            #expect(await soon { await engine.hot[id]?.job.lifecycle.endWanted == .stop })
            kill(shim, SIGCONT)
            var ends: [JobRecord] = []
            for stop in stops {
                do {
                    ends.append(try await stop.value)
                } catch let error as EngineError where error.code == .failedPrecondition {
                    // It came after the end.
                }
            }
            #expect(!ends.isEmpty && ends.allSatisfy { $0.status == .stopped && $0.exitCode == -1 })
            _ = try await run.value
        }
    }

    @Test func `a second stop gives no second grace period`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.stopGrace = 5_000_000_000 }) { engine in
            let job = try await engine.run(
                .script("trap 'echo caught >> caught' TERM; : > ready; while :; do sleep 0.05; done"))
            #expect(await soon { Directory.exists(harness.work(of: job.id) + "/ready") })
            let first = Task { try await engine.stop(job.id) }
            #expect(await soon { Directory.exists(harness.work(of: job.id) + "/caught") })
            let others = (0..<5).map { _ in Task { try await engine.stop(job.id) } }
            let end = try await first.value
            #expect(end.status == .stopped)
            #expect(end.signal == SIGKILL)
            for other in others { #expect(try await other.value == end) }
            #expect(try readText(harness.work(of: job.id) + "/caught") == "caught\n")
        }
    }

    @Test func `a deadline stops a job with reason timeout; one too far away to count never does`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            var request = JobRequest("sleep", "1000")
            request.timeout = 50_000_000
            let job = try await engine.run(request)
            let end = try await engine.end(of: job.id)
            #expect(end.status == .stopped)
            #expect(end.reason == "timeout")
            #expect(end.exitCode == -1)
            request.timeout = .max
            let long = try await engine.run(request)
            #expect(long.status == .running)
            #expect(try await engine.stop(long.id).reason == "stopped")
        }
    }

    @Test func `a deadline counts on through a restart, by the process's age`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        var request = JobRequest("sleep", "1000")
        request.timeout = 2_000_000_000
        let job = try await first.run(request)
        await first.shutdown(stoppingJobs: false)
        try await harness.withEngine { engine in
            let end = try await engine.end(of: job.id)
            #expect(end.reason == "timeout")
            // A process is made after its job was accepted, and runs before that is recorded.
            let lived = try #require(end.endedAt) - end.createdAt
            #expect((2_000_000_000..<20_000_000_000).contains(lived))
        }
    }

    @Test func `a caller that goes away leaves no waiter, and its job runs with its uploads`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            _ = try await engine.run(JobRequest("true"))
            let shim = try #require(harness.shims.first)
            kill(shim, SIGSTOP)
            defer { kill(shim, SIGCONT) }
            let id = JobID.random()
            let uploads = engine.stage(for: id)
            try await uploads.beginFile(try WorkPath("input"), mode: 0o600)
            try await uploads.write(Array("uploaded".utf8))
            let run = Task { try await engine.run(JobRequest("cat", "input"), id: id, uploads: uploads) }
            #expect(await soon { await engine.hot[id]?.supervisor != nil })
            run.cancel()
            await #expect(throws: EngineError.self) { try await run.value }
            kill(shim, SIGCONT)
            #expect(try await engine.end(of: id).status == .completed)
            #expect(try await engine.text(of: id) == "uploaded")
            #expect(await soon { !Directory.exists(uploads.path) })
        }
    }

    @Test func `secrets reach the job and lie nowhere in clear`() async throws {
        let harness = try EngineHarness()
        let secret = "s3cret-\(UUID().uuidString)"
        try await harness.withEngine { engine in
            var request = JobRequest.script("[ -n \"$TOKEN\" ] && echo got it; until [ -e go ]; do sleep 0.01; done")
            request.secretEnvironment["TOKEN"] = secret
            let job = try await engine.run(request)
            #expect(!"\(job)".contains(secret))
            for root in [harness.directory.path, harness.runDirectory.path] {
                let names = try #require(FileManager.default.enumerator(atPath: root)).compactMap { $0 as? String }
                for name in names {
                    guard let data = FileManager.default.contents(atPath: "\(root)/\(name)") else { continue }
                    #expect(data.range(of: Data(secret.utf8)) == nil, "\(name)")
                    #expect(data.range(of: Data(Data(secret.utf8).base64EncodedString().utf8)) == nil, "\(name)")
                }
            }
            try writeFile(harness.work(of: job.id) + "/go")
            #expect(try await engine.text(of: job.id) == "got it\n")
            #expect(await soon { await engine.isIdle })
        }
    }

    @Test func `finished jobs leave memory`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let runs = (0..<24).map { number in Task { try await engine.run(JobRequest("echo", "\(number)")) } }
            var ids: [JobID] = []
            for run in runs { ids.append(try await run.value.id) }
            for id in ids { #expect(try await engine.end(of: id).status == .completed) }
            #expect(await soon { await engine.isIdle })
            #expect(await soon { await engine.tasks.isEmpty })
            #expect(harness.outboxes.isEmpty)
            let page = try await engine.list(JobQuery(), after: nil, limit: 100)
            let listed = Set(page.records.map(\.id))
            #expect(listed == Set(ids))
            let (deleted, skipped) = try await engine.deleteAll()
            #expect((deleted, skipped) == (24, 0))
            #expect(await soon { await engine.isIdle })
        }
    }
}
