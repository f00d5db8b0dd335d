import Backends
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct DeletionTests {
    @Test func `a job that may not be deleted is there for others while that is found out`() async throws {
        let harness = try EngineHarness()
        let store = FaultyJobStore()
        var foreign = JobRecord(
            id: .random(), node: NodeIdentity(id: "other", incarnation: "x"),
            specification: JobSpecification(command: "true"), createdAt: 1)
        foreign.status = .running
        let id = foreign.id
        try await store.put([foreign])
        try await harness.withEngine(jobs: store) { engine async throws in
            await store.reads.stall()
            let deletion = Task { try await engine.delete(id) }
            await store.reads.untilHeld()
            let question = Task { try await engine.record(of: id).status }
            #expect(await soon { await store.reads.heldCount == 2 })
            await store.reads.release()
            #expect(try await question.value == .running)
            let error = await #expect(throws: EngineError.self) { try await deletion.value }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message.hasPrefix("Cannot delete running job \(id)") == true)
        }
    }

    @Test func `a deletion makes room although no record is taken by its store`() async throws {
        let harness = try EngineHarness()
        let (jobs, logs) = (FaultyJobStore(), FaultyLogStore())
        try await harness.withEngine(jobs: jobs, logs: logs) { engine async throws in
            await jobs.writes.fail(with: .quota(reason: "test"))
            let id = try await engine.end(of: try await engine.run(JobRequest("echo", "x")).id).id
            #expect(try await soon { try await logs.end(of: id) != nil })
            try await engine.delete(id)
            #expect(try await soon { try await logs.end(of: id) == nil })
            #expect(await soon { await engine.outboxEnd(of: id) == 0 })
            await jobs.writes.comeBack()
            #expect(await soon { await engine.isIdle })
            await #expect(throws: StorageError.notFound) { try await jobs.get(id) }
        }
    }

    @Test(arguments: [true, false]) func `a deleted job gives back the room of its outbox`(hasEnded: Bool) async throws
    {
        let harness = try EngineHarness()
        let logs = FaultyLogStore()
        let room: UInt64 = 16 << 20
        try await harness.withEngine(
            logs: logs, configure: { ($0.maxNodeOutboxBytes, $0.reserveBytes) = (room + 1 << 20, 1 << 20) }
        ) { engine async throws in
            await logs.writes.goDown()
            let bytes = hasEnded ? 15_000_000 : 100_000_000
            let id = try await engine.run(.script("head -c \(bytes) /dev/zero; : > said; exec sleep 1000")).id
            #expect(await soon { await engine.outboxEnd(of: id) >= 13_000_000 })
            if hasEnded { #expect(await soon { Directory.exists(harness.work(of: id) + "/said") }) }
            _ = try await engine.stop(id)
            // Another one, that finds too little room.
            let other = try await engine.run(.script("head -c 15000000 /dev/zero; echo end")).id
            try await engine.delete(id)
            await logs.writes.comeBack()
            #expect(try await engine.end(of: other).status == .completed)
            #expect(await soon { await engine.isIdle })
            let last = try await engine.run(JobRequest("echo", "last")).id
            #expect(try await engine.text(of: last) == "last\n")
        }
    }

    @Test func `of several that delete a job while its record is read one deletes it`() async throws {
        let harness = try EngineHarness()
        let store = FaultyJobStore()
        try await harness.withEngine(jobs: store) { engine async throws in
            let id = try await engine.end(of: try await engine.run(JobRequest("true")).id).id
            #expect(await soon { await engine.hot.isEmpty })
            await store.reads.stall()
            let deletions = (0..<3).map { _ in Task { try await engine.delete(id) } }
            #expect(await soon { await store.reads.heldCount == 3 })
            await store.reads.release()
            var deleted = 0
            for deletion in deletions {
                switch await deletion.result {
                case .success: deleted += 1
                case .failure(let error): #expect((error as? EngineError)?.code == .notFound)
                }
            }
            #expect(deleted == 1)
        }
    }
}
