import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

/// Work directories on disk: what they hold, and how much.
@Suite(.enabled(if: Host.isRoot, "needs root"))
struct WorkDirectoryTests {
    private static func isMounted(_ path: String) throws -> Bool {
        try readText("/proc/self/mounts").split(separator: "\n").contains { $0.split(separator: " ")[1] == path }
    }

    @Test func `a job cannot write more than its work directory holds, and what it left stays until it is deleted`()
        async throws
    {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.workDiskBytes = 32 << 20 }) { engine in
            let script =
                "ls -A; echo kept > note; head -c 100000000 /dev/zero > flood; stat -c %s flood; stat -c %u . note"
            let job = try await engine.run(JobRequest.script(script))
            #expect(try await engine.end(of: job.id).status == .completed)
            let text = try await engine.text(of: job.id)
            let lines = text.split(separator: "\n").filter { !$0.contains("No space left") }
            #expect(lines.count == 3, "\(text)")
            #expect((20 << 20..<32 << 20).contains(lines.first.flatMap { Int($0) } ?? 0), "\(text)")
            #expect(lines.dropFirst() == ["0", "0"], "\(text)")
            #expect(try readText(harness.work(of: job.id) + "/note") == "kept\n")
            try await engine.delete(job.id)
            #expect(await soon { !Directory.exists(harness.work(of: job.id)) })
            #expect(!Directory.exists(harness.work(of: job.id) + ".img"))
        }
        #expect(try !WorkDirectoryTests.isMounted(harness.directory.path))
    }

    @Test func `files that a job left are shown again after its file system was unmounted`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.workDiskBytes = 32 << 20 }) { engine in
            let job = try await engine.run(JobRequest.script("echo kept > note"))
            _ = try await engine.end(of: job.id)
            let path = harness.work(of: job.id)
            // As after the host was started again.
            #expect(umount2(path, 0) == 0)
            #expect(try Directory.names(in: path) == [])
            let files = try await engine.keptFiles(of: job.id, path: "note")
            let first = try await files.next()
            guard case .entry(let entry) = first else {
                Issue.record("no entry")
                return
            }
            #expect(entry.size == 5)
            #expect(try WorkDirectoryTests.isMounted(path))
            try await engine.delete(job.id)
            #expect(await soon { !Directory.exists(path) })
        }
    }

    @Test func `large uploads lie on disk, and are gone after the job`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: {
            $0.workMemoryBytes = 1 << 20
            $0.workDiskBytes = 32 << 20
        }) { engine in
            let id = JobID.random()
            let staging = engine.stage(for: id)
            try await staging.beginFile(try WorkPath("large"), mode: 0o644)
            for _ in 0..<4 { try await staging.write([UInt8](repeating: 7, count: 1 << 20)) }
            let job = try await engine.run(
                JobRequest("sh", "-c", "stat -c %s large; stat -f -c %T ."), id: id, uploads: staging)
            #expect(try await engine.end(of: job.id).status == .completed)
            #expect(try await engine.text(of: job.id) == "4194304\next2/ext3\n")
            #expect(await soon { !Directory.exists(harness.work(of: job.id)) })
        }
    }
}
