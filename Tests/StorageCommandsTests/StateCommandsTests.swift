import Backends
import DaemonSupport
import Foundation
import Glibc
import Storage
import TestSupport
import Testing

@Suite struct StateCommandsTests {
    @Test func `records are copied, counted and verified`() async throws {
        let (first, second) = (try Node(), try Node())
        let jobs = (0..<20).map { _ in JobID.random() }
        for job in jobs { try await first.record(job, .completed) }
        let copied = try await first.run("state", "copy --to sqlite:\(second.data)")
        #expect(copied.status == 0)
        #expect(
            copied.output.contains("state: 20 jobs verified in sqlite:\(second.data), 20 records copied"), "\(copied)")
        let (source, target) = (try first.records(), try second.records())
        for job in jobs { #expect(try await source.get(job) == target.get(job)) }
        let stats = try await second.run("state", "stats --top 1")
        #expect(stats.status == 0 && stats.output.contains(#/\nstate +sqlite +20 /#), "\(stats)")
        let verified = try await second.run("state", "verify")
        #expect(verified.status == 0 && verified.output == "state: 20 records, 0 problems\n", "\(verified)")
        #expect(try await second.run("state", "repair").output == "state: the database is sound\n")
    }

    @Test func `records are copied while the worker has them`() async throws {
        let node = try Node()
        let job = JobID.random()
        try await node.record(job, .completed)
        let worker = try ChildProcess(Products.path("state"), node.arguments(""))
        _ = try await worker.line(containing: "listening")
        let copy = "\(node.directory.path)/copy"
        let made = try await node.run("state", "backup \(copy)")
        #expect(made.status == 0 && made.output == "state: \(copy)/state/jobs.db\n", "\(made)")
        worker.signal(SIGTERM)
        #expect(await worker.end() == 0)
        #expect(try await SQLiteJobStore(path: "\(copy)/state/jobs.db").get(job) == node.records().get(job))
    }

    @Test func `a record that cannot be is a problem`() async throws {
        let node = try Node()
        let job = JobID.random()
        try await node.record(job, .failed, endedAt: nil)
        let found = try await node.run("state", "verify")
        #expect(found.status == 1)
        #expect(found.output.contains("state: job \(job): FAILED without a time of its end"), "\(found)")
    }

    @Test func `a file that is no database is told, and replaced by repair`() async throws {
        let node = try Node()
        try await node.record(.random(), .completed)
        try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: "\(node.data)/state/jobs.db"))
        let found = try await node.run("state", "verify")
        #expect(found.status == 1 && found.output.contains("damaged"), "\(found)")
        let mended = try await node.run("state", "repair")
        #expect(mended.status == 0 && mended.output.contains("a new one has 0 records of it"), "\(mended)")
        #expect(try await node.run("state", "verify").status == 0)
    }

    @Test func `prune drops old records of jobs that have nothing left`() async throws {
        let node = try Node()
        let withOutput = try await node.fill(1)[0]
        let (old, running, recent) = (JobID.random(), JobID.random(), JobID.random())
        try await node.record(withOutput, .completed)
        try await node.record(old, .completed)
        try await node.record(running, .running, endedAt: nil)
        try await node.record(recent, .failed, endedAt: Tombstones.now())
        let kept = try await node.run("state", "prune")
        #expect(kept.status == 0 && kept.output.contains("every record is kept"), "\(kept)")
        let dry = try await node.run("state", "prune --max-age 720h --dry-run")
        #expect(dry.status == 0 && dry.output.contains("would delete 1\n"), "\(dry)")
        _ = try await node.records().get(old)
        let pruned = try await node.run("state", "prune --max-age 720h")
        #expect(pruned.status == 0 && pruned.output.contains(", deleted 1\n"), "\(pruned)")
        let store = try node.records()
        await #expect(throws: StorageError.notFound) { try await store.get(old) }
        for job in [withOutput, running, recent] { _ = try await store.get(job) }
    }

    @Test func `a worker that serves the records is not disturbed`() async throws {
        let node = try Node()
        let worker = try ChildProcess(Products.path("state"), node.arguments(""))
        _ = try await worker.line(containing: "listening")
        let refused = try await node.run("state", "stats")
        #expect(refused.status == 1 && refused.output.contains("the stores are in use: "), "\(refused)")
        worker.signal(SIGTERM)
        #expect(await worker.end() == 0)
        #expect(try await node.run("state", "stats").status == 0)
    }
}
