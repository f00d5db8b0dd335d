import Engine
import Kernel
import Storage
import TestSupport
import Testing

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct JobLifeTests {
    @Test func `a job runs, its log is read live and from the store`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let record = try await engine.run(JobRequest("sh", "-c", "echo hello; echo oops >&2; exit 3"))
            let stdout = try await engine.text(of: record.id, streams: [.stdout])
            #expect(stdout == "hello\n")
            let end = try await engine.end(of: record.id)
            #expect(end.status == .failed)
            #expect(end.reason == "")
            #expect(end.exitCode == 3)
            let stderr = try await engine.text(of: record.id, streams: [.stderr])
            #expect(stderr == "oops\n")
        }
        try await harness.withEngine { engine in
            let page = try await engine.list(JobQuery(), after: nil, limit: 10)
            #expect(page.records.map(\.status) == [.failed])
            let id = try #require(page.records.first?.id)
            let lines = try await engine.text(of: id).split(separator: "\n")
            #expect(lines.sorted() == ["hello", "oops"])
        }
    }

    @Test func `a job that is stopped is STOPPED with exit code -1`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let record = try await engine.run(JobRequest("sleep", "1000"))
            #expect(record.status == .running, "\(record.reason)")
            let end = try await engine.stop(record.id)
            #expect(end.status == .stopped)
            #expect(end.exitCode == -1)
            #expect(end.reason == "stopped")
            await #expect(throws: EngineError.self) { try await engine.stop(record.id) }
        }
    }

    @Test func `a job outlives its daemon and is adopted by the next one`() async throws {
        let harness = try EngineHarness()
        let first = try await harness.engine()
        let record = try await first.run(.script("echo one; touch said; exec sleep 1000"))
        #expect(await soon { Directory.exists(harness.work(of: record.id) + "/said") })
        await first.shutdown(stoppingJobs: false)
        try await harness.withEngine { engine in
            let adopted = try await engine.record(of: record.id)
            #expect(adopted.status == .running)
            #expect(adopted.pid == record.pid)
            _ = try await engine.stop(record.id)
            let text = try await engine.text(of: record.id)
            #expect(text.hasPrefix("one\n"))
        }
    }

    @Test func `a deleted job is gone from records and logs`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine { engine in
            let record = try await engine.run(JobRequest("echo", "bye"))
            _ = try await engine.end(of: record.id)
            try await engine.delete(record.id)
            await #expect(throws: EngineError(.notFound, "job not found: \(record.id)")) {
                try await engine.record(of: record.id)
            }
        }
        try await harness.withEngine { engine in
            let page = try await engine.list(JobQuery(), after: nil, limit: 10)
            #expect(page.records.isEmpty)
        }
    }
}
