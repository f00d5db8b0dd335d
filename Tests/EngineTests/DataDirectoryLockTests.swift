import Backends
import Logging
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct DataDirectoryLockTests {
    @Test func `no store is opened in a data directory that another daemon holds`() async throws {
        let harness = try EngineHarness()
        let configuration = harness.configuration
        try await harness.withEngine { _ in
            let error = #expect(throws: EngineError.self) {
                try JobEngine(
                    configuration: configuration, jobs: DataDirectoryLockTests.opened(MemoryJobStore()),
                    logs: DataDirectoryLockTests.opened(MemoryLogStore()),
                    metrics: DataDirectoryLockTests.opened(MemoryMetricStore()), logger: Logger(label: "test"))
            }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message == "another joblet daemon holds \(configuration.dataDirectory)")
        }
    }

    @Test func `what a store says when it cannot be opened comes out, and the directory is free again`() async throws {
        let harness = try EngineHarness()
        let configuration = harness.configuration
        #expect(throws: StorageError.unavailable(reason: "test")) {
            try JobEngine(
                configuration: configuration, jobs: try DataDirectoryLockTests.broken(), logs: MemoryLogStore(),
                metrics: MemoryMetricStore(), logger: Logger(label: "test"))
        }
        try await harness.withEngine { _ in }
    }

    private static func opened<Store>(_ store: Store) -> Store {
        Issue.record("a store was opened")
        return store
    }

    private static func broken() throws -> MemoryJobStore { throw StorageError.unavailable(reason: "test") }
}
