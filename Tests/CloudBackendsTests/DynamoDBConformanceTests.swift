import AWSSupport
import CloudBackends
import Foundation
import Storage
import StorageConformance
import Testing

/// The one suite of job stores, against moto's DynamoDB.
@Suite struct DynamoDBConformanceTests {
    @Test(arguments: JobStoreBehaviour.all)
    func conforms(_ behaviour: JobStoreBehaviour) async throws {
        try await withFreshTable { try await behaviour.check($0) }
    }

    @Test(arguments: JobStoreBehaviour.persistent)
    func persists(_ behaviour: JobStoreBehaviour) async throws {
        try await withFreshTable { try await behaviour.check($0) }
    }

    private func withFreshTable(_ body: (StoreUnderTest<any JobStore>) async throws -> Void) async throws {
        let server = try MotoServer.shared.get()
        // DynamoDB checks a condition and writes in one step; moto does so only where one request at a time asks it.
        let proxy = try FaultProxy.start(
            upstream: server.port, keepsRequests: false, isPassedAlone: { !$0.operation.isEmpty }, { _ in .pass })
        defer { proxy.stop() }
        let configuration = DynamoDBConfiguration(
            table: "jobs-\(UUID())", aws: .test(endpoint: proxy.endpoint), createsTable: true)
        let open: @Sendable () async throws -> any JobStore = {
            let store = DynamoDBJobStore(configuration, http: HTTPClient())
            try await store.check()
            return store
        }
        try await body(StoreUnderTest(store: try await open(), reopen: open))
    }
}
