import AWSSupport
import CloudBackends
import Foundation
import Storage
import StorageConformance
import Testing

/// The one suite of log stores, against moto's S3.
@Suite struct S3ConformanceTests {
    /// How the store cuts logs into objects.
    enum Shape: String, CaseIterable, Sendable {
        /// As it is by default, but for waiting.
        case packs
        /// Every log has objects of its own.
        case ownObjects
        /// Packs are merged all the time.
        case merging
    }

    @Test(arguments: Shape.allCases, LogStoreBehaviour.all)
    func conforms(_ shape: Shape, _ behaviour: LogStoreBehaviour) async throws {
        try await withFreshBucket(shape) { try await behaviour.check($0) }
    }

    @Test(arguments: Shape.allCases, LogStoreBehaviour.persistent)
    func persists(_ shape: Shape, _ behaviour: LogStoreBehaviour) async throws {
        try await withFreshBucket(shape) { try await behaviour.check($0) }
    }

    private func withFreshBucket(
        _ shape: Shape, _ body: (StoreUnderTest<any LogStore>) async throws -> Void
    ) async throws {
        let server = try MotoServer.shared.get()
        var configuration = S3Configuration(
            bucket: "logs-\(UUID().uuidString.lowercased())", node: "node 1", aws: server.configuration())
        configuration.createsBucket = true
        configuration.gather = 0
        switch shape {
        case .packs: break
        case .ownObjects: configuration.ownObjectBytes = 0
        case .merging: configuration.smallPacks = 2
        }
        let settings = configuration
        let open: @Sendable () async throws -> any LogStore = {
            let store = S3LogStore(settings, http: HTTPClient())
            try await store.check()
            return store
        }
        try await body(StoreUnderTest(store: try await open(), reopen: open))
    }
}
