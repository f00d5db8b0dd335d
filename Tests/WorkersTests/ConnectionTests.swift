import Backends
import Foundation
import Glibc
import JobletAPI
import NIOCore
import Storage
import StorageConformance
import SwiftProtobuf
import TestSupport
import Testing

@testable import Server

/// Workers that come and go, and peers that do not keep to the protocol.
@Suite struct ConnectionTests {
    @Test func `a log is whole although its worker ends again and again`() async throws {
        let fixture = try WorkerFixture()
        let client = fixture.client()
        var sample = SampleLog(seed: 3)
        let runs = sample.runs(300, fragments: 100)
        let job = JobID.random()
        let writing = Task { try await write(runs, to: job, client) }
        for round in 0..<8 {
            let store = try LocalGzipLogStore(directory: "\(fixture.directory.path)/logs")
            let server = try await fixture.server(WorkerStores(logs: store))
            if round == 7 {
                try await writing.value
                #expect(try await client.logs.transcript(of: LogQuery(job: job)) == Transcript(runs))
            } else {
                while try await client.logs.end(of: job) == nil { await Task.yield() }
            }
            await server.close()
        }
        await client.close()
    }

    /// Appends the runs until all are durable; what was not synced may be gone with a worker, and is appended again.
    private func write(_ runs: [FragmentRun], to job: JobID, _ client: WorkerClient) async throws {
        let last = try #require(runs.last).end
        var durable: UInt64 = 0
        while durable < last {
            do {
                for run in runs where run.end > durable { try await client.logs.append(run, to: job) }
                durable = try await client.logs.sync([job])[job] ?? 0
            } catch {
                durable = try expectedEnd(error)
            }
        }
    }

    /// Where a store wants more that refused a gap; throws any other failure.
    private func expectedEnd(_ error: any Error) throws -> UInt64 {
        guard let error = error as? StorageError, case .gap(let expected) = error else { throw error }
        return expected
    }

    @Test func `a call that waits for its answer when the worker ends is asked again`() async throws {
        let fixture = try WorkerFixture()
        let stalled = StalledLogs()
        let first = try await fixture.server(WorkerStores(logs: stalled))
        let client = fixture.client()
        let job = JobID.random()
        async let appended: Void = client.logs.append(FragmentRun("abc"), to: job)
        await stalled.untilCalled()
        await first.close()
        let memory = MemoryLogStore()
        let second = try await fixture.server(WorkerStores(logs: memory))
        try await appended
        #expect(await memory.end(of: job) == 3)
        await client.close()
        await second.close()
    }

    @Test func `without a worker calls fail after a while, then at once, and work when it is back`() async throws {
        let fixture = try WorkerFixture()
        let client = fixture.client(patience: .milliseconds(50))
        let job = JobID.random()
        for _ in 0..<3 {
            do {
                try await client.logs.append(FragmentRun("abc"), to: job)
                Issue.record("appended without a worker")
            } catch {
                guard case .unavailable(let reason, _) = error else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(reason.hasPrefix("the storage worker test cannot be reached at \(fixture.socket): "))
            }
        }
        let server = try await fixture.server(WorkerStores(logs: MemoryLogStore()))
        while true {
            do {
                try await client.logs.append(FragmentRun("abc"), to: job)
                break
            } catch {
                // Until the next attempt to connect.
                await Task.yield()
            }
        }
        #expect(try await client.logs.end(of: job) == 3)
        await client.close()
        await #expect(throws: StorageError.self) { try await client.check() }
        await server.close()
    }

    @Test func `a cancelled call ends at once, and the worker is told`() async throws {
        let stalled = StalledLogs()
        try await WorkerFixture.run(WorkerStores(logs: stalled)) { client in
            let call = Task {
                do throws(StorageError) {
                    try await client.logs.append(FragmentRun("abc"), to: .random())
                    return StorageError?.none
                } catch {
                    return error
                }
            }
            await stalled.untilCalled()
            call.cancel()
            #expect(await call.value == .cancelled)
            await stalled.untilCancelled()
        }
    }

    @Test func `a store that a worker does not keep is refused`() async throws {
        try await WorkerFixture.run(WorkerStores(logs: MemoryLogStore())) { client in
            await #expect(throws: StorageError.refused(reason: "this storage worker keeps no job records")) {
                try await client.jobs.get(.random())
            }
            try await client.check()
        }
    }

    @Test func `many callers at once stay within the window and are all answered`() async throws {
        let budget = RequestBudget(requests: 2, bytes: 64 << 10)
        let store = MemoryLogStore()
        try await WorkerFixture.run(WorkerStores(logs: store), budget: budget) { client in
            let jobs = (0..<50).map { _ in JobID.random() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for job in jobs {
                    group.addTask {
                        var run = FragmentRun(start: 0)
                        run.append(stream: .stdout, time: 1, bytes: [UInt8](repeating: 65, count: 100_000))
                        try await client.logs.append(run, to: job)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await client.logs.sync(jobs).values.allSatisfy { $0 == 100_000 })
            #expect(try await client.logs.jobs(after: nil, limit: 100).count == 50)
        }
    }

    @Test func `the socket lets only its user in`() async throws {
        let fixture = try WorkerFixture()
        let server = try await fixture.server(WorkerStores(logs: MemoryLogStore()))
        var status = stat()
        #expect(stat(fixture.socket, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        let directory = "\(fixture.directory.path)/run"
        #expect(stat(directory, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        await server.close()
        chmod(directory, 0o777)
        await #expect(throws: StorageError.self) { try await fixture.server(WorkerStores()) }
        #expect(PeerCredentials.isAllowed(geteuid()))
        #expect(PeerCredentials.isAllowed(0))
        #expect(!PeerCredentials.isAllowed(geteuid() &+ 12345))
    }
}

/// A log store in which every append waits until it is cancelled.
private actor StalledLogs: LogStore {
    private var calls = 0
    private var cancellations = 0
    private var waiters: [CheckedContinuation<Void, Never>] = []

    func untilCalled() async { while calls == 0 { await change() } }
    func untilCancelled() async { while cancellations == 0 { await change() } }

    private func change() async { await withCheckedContinuation { waiters.append($0) } }

    private func changed() {
        for waiter in waiters { waiter.resume() }
        waiters = []
    }

    func append(_ run: FragmentRun, to job: JobID) async throws(StorageError) {
        calls += 1
        changed()
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        for await _ in stream {}
        withExtendedLifetime(continuation) {}
        cancellations += 1
        changed()
        throw .cancelled
    }

    func skip(to position: UInt64, of job: JobID, time: Int64) {}
    func sync(_ jobs: [JobID]) -> [JobID: UInt64] { [:] }
    func finish(_ job: JobID) {}
    func end(of job: JobID) -> UInt64? { nil }
    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) throws(StorageError) -> LogPage {
        throw .notFound
    }
    func cursor(forLast lines: Int, of query: LogQuery) throws(StorageError) -> LogCursor { throw .notFound }
    func delete(_ job: JobID) {}
    func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 { throw .notFound }
    func jobs(after job: JobID?, limit: Int) -> [JobID] { [] }
    func statistics(of job: JobID) throws(StorageError) -> LogStatistics { throw .notFound }
}
