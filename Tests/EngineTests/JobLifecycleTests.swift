import Engine
import Storage
import Testing

struct JobLifecycleTests {
    private static let events: [JobLifecycle.Event] = [
        .started(pid: 7, time: 20), .startFailed(reason: "step", time: 30),
        .exited(code: 0, signal: 0, ranOutOfMemory: false, time: 40),
        .exited(code: 3, signal: 0, ranOutOfMemory: false, time: 40),
        .exited(code: -1, signal: 9, ranOutOfMemory: false, time: 40),
        .exited(code: -1, signal: 9, ranOutOfMemory: true, time: 40), .lost(reason: "gone", time: 50),
        .stopRequested, .deadlinePassed,
    ]

    private static func record(_ status: JobStatus) -> JobRecord {
        var record = JobRecord(
            id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
            specification: JobSpecification(command: "x"), createdAt: 10)
        record.status = status
        record.lease = JobLease(startToken: 1, idRange: 2, bootID: "b")
        if status == .running { record.startedAt = 15 }
        return record
    }

    /// Every state and event, with the status that follows; nil where nothing changes.
    private static let table: [(JobStatus, [JobStatus?])] = [
        (.initializing, [.running, .failed, .failed, .failed, .failed, .failed, .failed, nil, nil]),
        (.running, [nil, nil, .completed, .failed, .failed, .failed, .failed, nil, nil]),
        (.completed, Array(repeating: nil, count: 9)), (.failed, Array(repeating: nil, count: 9)),
        (.stopped, Array(repeating: nil, count: 9)), (.canceled, Array(repeating: nil, count: 9)),
    ]

    @Test(arguments: table.map(\.0))
    func `each event has its one effect`(status: JobStatus) throws {
        let expected = try #require(JobLifecycleTests.table.first { $0.0 == status }?.1)
        for (event, next) in zip(JobLifecycleTests.events, expected) {
            let before = JobLifecycleTests.record(status)
            var lifecycle = JobLifecycle(before)
            let changed = lifecycle.apply(event)
            #expect(changed == (next != nil), "\(event)")
            #expect(lifecycle.record.status == next ?? status, "\(event)")
            #expect(lifecycle.record.version == before.version + (changed ? 1 : 0))
            if !changed { #expect(lifecycle.record == before) }
            if let next, next.isTerminal {
                #expect(lifecycle.record.lease == nil)
                #expect(lifecycle.record.endedAt != nil)
            }
        }
    }

    /// A job in that state after the events, and which of them changed its record.
    private static func life(_ status: JobStatus, _ events: [JobLifecycle.Event]) -> (
        record: JobRecord, changes: [Bool]
    ) {
        var lifecycle = JobLifecycle(record(status))
        let changes = events.map { lifecycle.apply($0) }
        return (lifecycle.record, changes)
    }

    @Test(arguments: [
        (JobLifecycle.Event.exited(code: 0, signal: 0, ranOutOfMemory: false, time: 40), "", Int32(0)),
        (.exited(code: 3, signal: 0, ranOutOfMemory: false, time: 40), "", 3),
        (.exited(code: -1, signal: 9, ranOutOfMemory: false, time: 40), "signal 9", -1),
        (.exited(code: -1, signal: 9, ranOutOfMemory: true, time: 40), "oom", -1),
        (.exited(code: 137, signal: 0, ranOutOfMemory: true, time: 40), "oom", 137),
        (.lost(reason: "node restarted", time: 40), "node restarted", -1),
    ])
    func `an end has its reason and code`(event: JobLifecycle.Event, reason: String, code: Int32) {
        let (record, changes) = JobLifecycleTests.life(.running, [event])
        #expect(changes == [true])
        #expect(record.reason == reason)
        #expect(record.exitCode == code)
    }

    @Test(arguments: [
        ([JobLifecycle.Event.stopRequested, .deadlinePassed], "stopped"),
        ([.deadlinePassed, .stopRequested], "timeout"), ([.stopRequested, .stopRequested], "stopped"),
    ])
    func `the first wish for an end decides, whatever the exit`(wishes: [JobLifecycle.Event], reason: String) {
        for code in [Int32(0), 3, -1] {
            let exit = JobLifecycle.Event.exited(
                code: code, signal: code < 0 ? 15 : 0, ranOutOfMemory: false, time: 30)
            let (record, changes) = JobLifecycleTests.life(.initializing, wishes + [.started(pid: 1, time: 20), exit])
            #expect(changes == [false, false, true, true])
            #expect(record.status == .stopped)
            #expect(record.reason == reason)
            #expect(record.exitCode == -1)
        }
    }

    @Test func `a lost job is FAILED even where a stop was wanted`() {
        let (record, _) = JobLifecycleTests.life(
            .running, [.stopRequested, .lost(reason: "supervisor lost", time: 30)])
        #expect(record.status == .failed)
        #expect(record.reason == "supervisor lost")
    }

    @Test func `a clock that is stepped back makes no time run backwards`() {
        let (record, _) = JobLifecycleTests.life(
            .initializing, [.started(pid: 1, time: 3), .exited(code: 0, signal: 0, ranOutOfMemory: false, time: 2)])
        #expect(record.startedAt == 10)
        #expect(record.endedAt == 10)
    }
}
