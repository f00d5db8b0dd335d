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

/// Peers that speak another version, nonsense, or do not listen.
@Suite struct HostilePeerTests {
    @Test func `another version is refused with those that are spoken`() async throws {
        try await withServer { socket in
            let peer = try Peer(socket)
            try peer.send(.hello(.with { hello in (hello.oldestVersion, hello.newestVersion) = (7, 9) }))
            let frame = try #require(try await peer.receive())
            #expect(frame.refusal.oldestVersion == 1 && frame.refusal.newestVersion == 1)
            #expect(try await peer.receive() == nil)
        }
    }

    @Test func `of two ranges of versions the newest common one is taken`() async throws {
        try await withServer { socket in
            let peer = try Peer(socket)
            try peer.send(
                .hello(
                    .with { hello in
                        (hello.oldestVersion, hello.newestVersion, hello.maxFrameBytes) = (1, 9, 1 << 20)
                    }))
            let welcome = try #require(try await peer.receive()).welcome
            #expect(welcome.version == 1)
            #expect(welcome.windowRequests > 0 && welcome.windowBytes > 0)
        }
    }

    @Test(
        arguments: [
            // Longer than allowed; no message; a reply, which only a server sends; a request before the greeting.
            [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 2, 0xff, 0xff], [0, 0, 0, 4, 0x2a, 2, 8, 1], [0, 0, 0, 2, 0x22, 0],
        ] as [[UInt8]])
    func `what does not keep to the protocol ends its connection and no other`(_ bytes: [UInt8]) async throws {
        try await withServer { socket in
            let other = try Peer(socket)
            try await other.greet()
            let peer = try Peer(socket)
            try peer.send(bytes)
            #expect(try await peer.receive() == nil)
            let greeted = try Peer(socket)
            try await greeted.greet()
            if bytes != [0, 0, 0, 2, 0x22, 0] {
                try greeted.send(bytes)
                #expect(try await greeted.receive() == nil)
            }
            try other.send(request(5, .check(.init())))
            #expect(try await other.receive()?.reply.done == .init())
        }
    }

    @Test func `a reader that does not read stops nobody and is not collected for`() async throws {
        let store = MemoryLogStore()
        let job = JobID.random()
        var run = FragmentRun(start: 0)
        run.append(stream: .stdout, time: 1, bytes: [UInt8](repeating: 65, count: 1 << 20))
        try await store.append(run, to: job)
        let counting = CountedReads(store)
        let budget = RequestBudget(requests: 4, bytes: 64 << 20)
        try await withServer(WorkerStores(logs: counting), budget) { socket in
            let slow = try Peer(socket)
            try await slow.greet()
            let read = Joblet_Ipc_ReadLog.with { message in
                message.query = LogQuery(job: job).message
                message.maxBytes = 1 << 20
            }
            for number in 1...50 { try slow.send(request(UInt64(number), .readLog(read))) }
            // Others are served while it does not read.
            let other = try Peer(socket)
            try await other.greet()
            for number in 1...20 {
                try other.send(request(UInt64(number), .readLog(read)))
                #expect(try await other.receive()?.reply.logPage.fragments.content.count == 1 << 20)
            }
            // One answer lies in the socket, four wait for it: no more were made.
            #expect(await counting.count - 20 <= 6)
            // Every request has its answer; several are worked on at a time, so that their order is open.
            var answered: [UInt64] = []
            for _ in 1...50 { answered.append(try #require(try await slow.receive()).reply.id) }
            #expect(answered.sorted() == Array(1...50))
        }
    }

    @Test func `a client whose peer refuses or talks nonsense says so`() async throws {
        for (answer, expected) in [
            (Joblet_Ipc_Frame.OneOf_Body.refusal(.with { $0.reason = "too old" }), "too old"),
            (.reply(.init()), "it does not keep to the protocol"),
            (.welcome(.with { $0.version = 77 }), "it does not keep to the protocol"),
        ] {
            let fixture = try WorkerFixture()
            try SocketDirectory.prepare(for: fixture.socket)
            let listener = try Listener(fixture.socket)
            let client = fixture.client(patience: .zero)
            Thread.detachNewThread { try? listener.answer(answer) }
            do {
                while true { try await client.check() }
            } catch {
                #expect("\(error)".contains(expected), "\(error)")
            }
            await client.close()
            listener.close()
        }
    }

    private func withServer(
        _ stores: WorkerStores = WorkerStores(logs: MemoryLogStore()), _ budget: RequestBudget = RequestBudget(),
        _ body: (String) async throws -> Void
    ) async throws {
        let fixture = try WorkerFixture()
        let server = try await fixture.server(stores, frameLimit: 8 << 20, budget: budget)
        do {
            try await body(fixture.socket)
        } catch {
            await server.close()
            throw error
        }
        await server.close()
    }

    private func request(_ id: UInt64, _ call: WorkerLink.Call) -> Joblet_Ipc_Frame.OneOf_Body {
        .request(
            .with { request in
                request.id = id
                request.call = call
            })
    }
}

/// A log store that counts what is read from it.
private actor CountedReads: LogStore {
    private let store: MemoryLogStore
    private(set) var count = 0

    init(_ store: MemoryLogStore) { self.store = store }

    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) async throws(StorageError) -> LogPage {
        count += 1
        return try await store.read(query, after: cursor, maxBytes: maxBytes)
    }

    func append(_ run: FragmentRun, to job: JobID) {}
    func skip(to position: UInt64, of job: JobID, time: Int64) {}
    func sync(_ jobs: [JobID]) -> [JobID: UInt64] { [:] }
    func finish(_ job: JobID) {}
    func end(of job: JobID) -> UInt64? { nil }
    func cursor(forLast lines: Int, of query: LogQuery) throws(StorageError) -> LogCursor { throw .notFound }
    func delete(_ job: JobID) {}
    func trim(_ job: JobID, to bytes: UInt64) throws(StorageError) -> UInt64 { throw .notFound }
    func jobs(after job: JobID?, limit: Int) -> [JobID] { [] }
    func statistics(of job: JobID) throws(StorageError) -> LogStatistics { throw .notFound }
}
