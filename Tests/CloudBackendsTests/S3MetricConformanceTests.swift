import AWSSupport
import CloudBackends
import Foundation
import Storage
import StorageConformance
import Testing

/// The one suite of metric stores, against moto's S3.
@Suite struct S3MetricConformanceTests {
    @Test(arguments: S3ConformanceTests.Shape.allCases, MetricStoreBehaviour.all)
    func conforms(_ shape: S3ConformanceTests.Shape, _ behaviour: MetricStoreBehaviour) async throws {
        try await withFreshBucket(shape) { try await behaviour.check($0) }
    }

    @Test(arguments: S3ConformanceTests.Shape.allCases, MetricStoreBehaviour.persistent)
    func persists(_ shape: S3ConformanceTests.Shape, _ behaviour: MetricStoreBehaviour) async throws {
        try await withFreshBucket(shape) { try await behaviour.check($0) }
    }

    private func withFreshBucket(
        _ shape: S3ConformanceTests.Shape, _ body: (StoreUnderTest<any MetricStore>) async throws -> Void
    ) async throws {
        let server = try MotoServer.shared.get()
        var configuration = S3Configuration(
            bucket: "metrics-\(UUID().uuidString.lowercased())", node: "node 1", aws: server.configuration())
        configuration.createsBucket = true
        configuration.gather = 0
        shape.apply(to: &configuration)
        let settings = configuration
        let open: @Sendable () async throws -> any MetricStore = {
            let store = S3MetricStore(settings, http: HTTPClient())
            try await store.check()
            return store
        }
        try await body(StoreUnderTest(store: try await open(), reopen: open))
    }
}
