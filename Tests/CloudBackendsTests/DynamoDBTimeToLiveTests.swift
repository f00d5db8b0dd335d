import AWSSupport
import Foundation
import Storage
import Synchronization
import Testing

@testable import CloudBackends

/// How records and tombstones end, and what writing costs.
@Suite struct DynamoDBTimeToLiveTests {
    private static let day: Int64 = 86_400 * 1_000_000_000

    /// A time that tests move.
    private final class Clock: Sendable {
        private let time = Mutex<Int64>(1_800_000_000 * 1_000_000_000)
        @Sendable func now() -> Int64 { time.withLock { $0 } }
        func advance(days: Int64) { time.withLock { $0 += days * DynamoDBTimeToLiveTests.day } }
    }

    private func configuration(timeToLive: Int64? = nil) throws -> DynamoDBConfiguration {
        DynamoDBConfiguration(
            table: "jobs-\(UUID())", aws: try MotoServer.shared.get().configuration(), createsTable: true,
            timeToLive: timeToLive)
    }

    private func record(version: UInt64 = 1) -> JobRecord {
        var record = JobRecord(
            id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
            specification: JobSpecification(command: "/bin/true"), createdAt: 1)
        record.version = version
        return record
    }

    private func timeToLive(of store: DynamoDBJobStore) async throws -> DescribeTimeToLiveReply.Description {
        try await store.table.call(
            "DescribeTimeToLive", TableName(TableName: store.table.name), as: DescribeTimeToLiveReply.self
        ).TimeToLiveDescription
    }

    @Test(arguments: [nil, 3600])
    func `a tombstone ends thirty days after the delete, and a record that follows does not`(
        _ timeToLive: Int64?
    ) async throws {
        let clock = Clock()
        let store = DynamoDBJobStore(try configuration(timeToLive: timeToLive), http: HTTPClient(), now: clock.now)
        try await store.check()
        var record = record()
        try await store.put([record])
        try await store.delete(record.id, version: 2)
        let tombstone = try #require(try await store.table.item(record.id.description))
        #expect(Set(tombstone.keys) == ["jobId", "deleted", "expiresAt"])
        let end = try #require(tombstone["expiresAt"]?.unsigned)
        let wanted = UInt64(clock.now() + 30 * Self.day) / 1_000_000_000
        #expect((wanted...wanted + 1).contains(end))
        record.version = 3
        try await store.put([record])
        let item = try #require(try await store.table.item(record.id.description))
        #expect(item["expiresAt"] == nil)
        #expect(item["deleted"]?.unsigned == 2)
    }

    @Test func `the time to live of a table that is there is turned on where it may be changed`() async throws {
        var configuration = try configuration()
        let store = DynamoDBJobStore(configuration, http: HTTPClient())
        try await store.check()
        #expect(try await timeToLive(of: store).TimeToLiveStatus == "DISABLED")
        configuration.timeToLive = 3600
        configuration.createsTable = false
        try await DynamoDBJobStore(configuration, http: HTTPClient()).check()
        #expect(try await timeToLive(of: store).TimeToLiveStatus == "DISABLED")
        configuration.createsTable = true
        for _ in 0..<2 { try await DynamoDBJobStore(configuration, http: HTTPClient()).check() }
        let found = try await timeToLive(of: store)
        #expect(found.TimeToLiveStatus == "ENABLED")
        #expect(found.AttributeName == "expiresAt")
    }

    @Test func `a table whose time to live goes by something else is refused`() async throws {
        var configuration = try configuration()
        let store = DynamoDBJobStore(configuration, http: HTTPClient())
        try await store.check()
        var other = UpdateTimeToLiveRequest(TableName: configuration.table)
        other.TimeToLiveSpecification.AttributeName = "other"
        _ = try await store.table.call("UpdateTimeToLive", other, as: NoReply.self)
        configuration.timeToLive = 3600
        let changed = DynamoDBJobStore(configuration, http: HTTPClient())
        await #expect(
            throws: StorageError.unavailable(
                reason: "DynamoDB table \(configuration.table): its time to live goes by other, not by expiresAt")
        ) { try await changed.check() }
    }

    @Test(.timeLimit(.minutes(1)))
    func `without time to live the store removes tombstones that ended itself`() async throws {
        let clock = Clock()
        let store = DynamoDBJobStore(try configuration(), http: HTTPClient(), now: clock.now)
        try await store.check()
        var (returning, gone, kept) = (record(), record(), record())
        for record in [returning, gone] { try await store.delete(record.id, version: 5) }
        returning.version = 6
        kept.version = 5
        try await store.put([returning])
        clock.advance(days: 29)
        try await store.delete(kept.id, version: 5)
        try await store.pruneTombstones()
        await #expect(throws: StorageError.self) { try await store.put([gone]) }
        // The first delete of a day looks for them.
        clock.advance(days: 2)
        try await store.delete(.random(), version: 1)
        while try await store.table.item(gone.id.description) != nil { await Task.yield() }
        #expect(try await store.get(returning.id) == returning)
        await #expect(throws: StorageError.self) { try await store.put([kept]) }
        gone.version = 1
        try await store.put([gone])
        #expect(try await store.get(gone.id) == gone)
    }

    @Test func `requests are counted by operation, and what writes cost`() async throws {
        let store = DynamoDBJobStore(try configuration(), http: HTTPClient())
        try await store.check()
        let before = store.counts
        #expect(before.writeUnits == 0)
        let records = (0..<3).map { _ in record() }
        try await store.put(records)
        _ = try await store.get(records[0].id)
        let requests = store.counts.requests.merging(before.requests) { $0 - $1 }.filter { $0.value > 0 }
        // The records, and once the node.
        #expect(requests == ["BatchGetItem": 1, "PutItem": 1, "UpdateItem": 3, "GetItem": 1])
        // moto says one unit for a put, and half of one for an update.
        #expect(store.counts.writeUnits == 2.5)
    }
}
