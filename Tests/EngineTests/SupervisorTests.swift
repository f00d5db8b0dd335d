import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct SupervisorTests {
    /// Writes numbered lines for ever and notes each number in a file after it was written.
    private static let counting = JobRequest.script(
        "n=0; while :; do n=$((n+1)); echo $n; echo $n >> written; [ $n = 50 ] && : > ready; done")

    @Test(arguments: [false, true])
    func `jobs of a killed supervisor end as FAILED with every byte they wrote`(killsPumps: Bool) async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            var jobs: [JobRecord] = []
            for _ in 0..<3 { jobs.append(try await engine.run(SupervisorTests.counting)) }
            let first = jobs[0].id
            let viewer = Task { try await engine.text(of: first) }
            for job in jobs {
                #expect(await soon { Directory.exists(harness.work(of: job.id) + "/ready") })
            }
            let shim = try #require(harness.shims.first)
            let pumps = harness.pumps(of: shim)
            #expect(pumps.count == 1)
            if killsPumps { for pump in pumps { kill(pump, SIGSTOP) } }
            kill(shim, SIGKILL)
            if killsPumps { for pump in pumps { kill(pump, SIGKILL) } }
            for job in jobs {
                let end = try await engine.end(of: job.id)
                #expect(end.status == .failed)
                #expect(end.reason == "supervisor lost")
                #expect(end.exitCode == -1)
                // A pump that is killed may have moved a part of a line.
                let text = try await engine.text(of: job.id)
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { Int($0) }
                #expect(lines == (1..<lines.count + 1).map { $0 })
                // Bytes that lay in the pipe are lost with the last pump.
                let written = try readText(harness.work(of: job.id) + "/written").split(separator: "\n").count
                if !killsPumps { #expect(lines.count >= written) }
            }
            let whole = try await engine.text(of: first)
            #expect(try await viewer.value == whole)
            let next = try await engine.run(JobRequest("echo", "again"))
            #expect(try await engine.text(of: next.id) == "again\n")
            #expect(!harness.shims.contains(shim))
            #expect(await soon { await engine.isIdle })
        }
        #expect(harness.outboxes.isEmpty)
    }

    @Test func `a supervisor that dies before it says that a job runs fails the job`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            _ = try await engine.run(JobRequest("true"))
            let shim = try #require(harness.shims.first)
            kill(shim, SIGSTOP)
            let id = JobID.random()
            let run = Task { try await engine.run(JobRequest("sleep", "1000"), id: id) }
            #expect(await soon { await engine.hot[id]?.supervisor != nil })
            kill(shim, SIGKILL)
            let record = try await run.value
            #expect(record.status == .failed)
            #expect(record.reason == "supervisor lost")
            #expect(try await engine.text(of: id) == "")
        }
    }

    @Test func `jobs that are run while the supervisor dies end or run, none hangs`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            _ = try await engine.run(JobRequest("true"))
            let shim = try #require(harness.shims.first)
            let runs = (0..<8).map { _ in Task { try await engine.run(JobRequest("sh", "-c", "echo x; exit 0")) } }
            kill(shim, SIGKILL)
            for run in runs {
                let record = try await run.value
                let end = try await engine.end(of: record.id)
                #expect(end.status == .completed || end.reason == "supervisor lost", "\(end)")
                _ = try await engine.text(of: record.id)
            }
            let next = try await engine.run(JobRequest("true"))
            #expect(try await engine.end(of: next.id).status == .completed)
        }
    }

    @Test func `a frozen supervisor holds up its own jobs and nothing else`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let first = try await engine.run(.script("echo one; : > ready; exec sleep 1000"))
            #expect(await soon { Directory.exists(harness.work(of: first.id) + "/ready") })
            let shim = try #require(harness.shims.first)
            kill(shim, SIGSTOP)
            defer { kill(shim, SIGCONT) }
            // More than the socket takes: nobody here may wait for it.
            var large = JobRequest("true")
            large.arguments = (0..<14).map { _ in String(repeating: "x", count: 120_000) }
            let runs = (0..<4).map { _ in Task { [large] in try await engine.run(large) } }
            let stop = Task { try await engine.stop(first.id) }
            #expect(await soon { await engine.hot.values.count { $0.supervisor != nil } == 5 })
            #expect(try await engine.record(of: first.id).status == .running)
            #expect(try await engine.list(JobQuery(), after: nil, limit: 10).records.count == 5)
            kill(shim, SIGCONT)
            #expect(try await stop.value.status == .stopped)
            for run in runs {
                let record = try await run.value
                #expect(try await engine.end(of: record.id).status == .completed, "\(record.reason)")
            }
        }
    }

    @Test func `a connection that someone else took is taken back, and no job suffers`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let job = try await engine.run(.script("until [ -e go ]; do sleep 0.01; done; echo done"))
            let control = try #require(await engine.hot[job.id]?.supervisor) + "/control"
            let intruder = try ShimConnection(path: control)
            var events = intruder.events.makeAsyncIterator()
            // Until the engine took it back.
            while await events.next() != nil {}
            try writeFile(harness.work(of: job.id) + "/go")
            #expect(try await engine.end(of: job.id).status == .completed)
            #expect(try await engine.text(of: job.id) == "done\n")
            #expect(harness.shims.count == 1)
        }
    }

    @Test func `a sandbox that cannot be built is a FAILED job whose log ends`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.shimProgram = "/bin/false" }) { engine in
            let record = try await engine.run(JobRequest("true"))
            #expect(record.status == .failed)
            #expect(record.reason.contains("supervisor"), "\(record.reason)")
            #expect(try await engine.text(of: record.id) == "")
        }
        try await harness.withEngine { engine in
            var request = JobRequest("true")
            request.workDirectory = "/usr/bin/env"
            let record = try await engine.run(request)
            let end = try await engine.end(of: record.id)
            #expect(end.status == .failed)
            #expect(end.reason.contains("sandbox"), "\(end)")
            #expect(try await engine.text(of: record.id) == "")
        }
        #expect(harness.shims.isEmpty || harness.shims.count == 1)
    }

    @Test func `a command that cannot be executed is a job that fails with 127 or 126`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            for (command, code) in [("/no/such/program", Int32(127)), ("/usr", 126)] {
                let record = try await engine.run(JobRequest(command))
                let end = try await engine.end(of: record.id)
                #expect(end.status == .failed)
                #expect(end.exitCode == code)
                _ = try await engine.text(of: record.id)
            }
        }
    }
}
