import Backends
import Glibc
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

/// What is done, and said, where a disk or a store has no room.
@Suite(.enabled(if: Host.isRoot, "needs root"))
struct FullDiskTests {
    @Test(arguments: [false, true])
    func `a job is stopped at once while the record of its start waits for the disk`(byDeadline: Bool) async throws {
        let harness = try EngineHarness()
        let journal = harness.directory.path + "/journal"
        try Directory.create(journal)
        try #require(mount("tmpfs", journal, "tmpfs", 0, "size=64k,mode=0700") == 0)
        defer { umount2(journal, Int32(MNT_DETACH)) }
        try await harness.withEngine { engine in
            // One page is left: the first version of the record fits, the second does not.
            let pages = Int(Directory.freeBytes(at: journal)) / 4096
            let filler = try FileDescriptor.open(journal + "/filler", flags: O_RDWR | O_CREAT)
            try filler.write([UInt8](repeating: 1, count: (pages - 1) * 4096), at: 0)
            var request = JobRequest.script(
                "trap 'touch stopped; exit 0' TERM; touch started; while :; do sleep 0.01; done")
            request.environment["PADDING"] = String(repeating: "x", count: 2500)
            if byDeadline { request.timeout = 1_000_000_000 }
            let job = try await engine.submit(request)
            #expect(await soon { Directory.exists(harness.work(of: job.id) + "/started") })
            let stop = Task { byDeadline ? try await engine.end(of: job.id) : try await engine.stop(job.id) }
            #expect(await soon { Directory.exists(harness.work(of: job.id) + "/stopped") })
            #expect(try await engine.record(of: job.id).status == .initializing)
            try filler.truncate(to: 0)
            let end = try await stop.value
            #expect(end.status == .stopped && end.reason == (byDeadline ? "timeout" : "stopped"))
        }
    }

    @Test func `statistics name a store that is full or away, and outboxes without room`() async throws {
        let harness = try EngineHarness()
        let jobs = FaultyJobStore()
        let logs = FaultyLogStore()
        let configure: (inout EngineConfiguration) -> Void = {
            ($0.segmentBytes, $0.maxJobOutboxBytes, $0.outputPolicy) = (16 << 10, 64 << 10, .drop)
        }
        try await harness.withEngine(jobs: jobs, logs: logs, configure: configure) { engine in
            let full = StorageError.quota(reason: "no room")
            await logs.writes.fail(with: full)
            await jobs.reads.goDown()
            let job = try await engine.run(JobRequest("seq", "1", "100000"))
            _ = try await engine.end(of: job.id)
            #expect(
                try await soon {
                    let data = try await engine.storedData(top: 0)
                    return data.logs.problem == full && data.fullOutboxes[job.id].map { $0 >= 64 << 10 } == true
                })
            let data = try await engine.storedData(top: 0)
            #expect(data.outboxBytes >= 64 << 10 && data.outboxBytes < data.outboxLimit && data.outboxFreeBytes > 0)
            #expect(data.recordsProblem == .unavailable(reason: "test"))
            #expect(data.metrics.problem == nil)
            await logs.writes.comeBack()
            await jobs.reads.comeBack()
            #expect(await soon { await engine.isIdle })
            let later = try await engine.storedData(top: 1)
            #expect(later.logs.problem == nil && later.recordsProblem == nil)
            #expect(later.fullOutboxes.isEmpty && later.outboxBytes == 0 && later.waitingRecords == 0)
            #expect(later.largest.map(\.id) == [job.id])
        }
    }
}
