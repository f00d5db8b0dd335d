import Backends
import Storage
import StorageConformance
import TestSupport
import Testing

@testable import Server

/// What keeps the logs behind the socket.
enum HostedLogs: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case localGzip = "local-gzip"

    var testDescription: String { "\(rawValue) in a worker" }
}

/// What keeps the job records behind the socket.
enum HostedJobs: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case sqlite

    var testDescription: String { "\(rawValue) in a worker" }
}

/// What keeps the samples behind the socket.
enum HostedMetrics: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case localGzip = "local-gzip"

    var testDescription: String { "\(rawValue) in a worker" }
}

/// The stores of a worker are stores like all others. Frames are small, so that long answers come in parts.
@Suite struct ConformanceTests {
    private static let frameLimit = 4 << 20

    @Test(arguments: HostedLogs.allCases, LogStoreBehaviour.all)
    func `logs in a worker conform`(_ backend: HostedLogs, _ behaviour: LogStoreBehaviour) async throws {
        try await withLogs(backend, behaviour.check)
    }

    @Test(arguments: LogStoreBehaviour.persistent)
    func `logs in a worker outlive it`(_ behaviour: LogStoreBehaviour) async throws {
        try await withLogs(.localGzip, behaviour.check)
    }

    @Test(arguments: HostedJobs.allCases, JobStoreBehaviour.all)
    func `job records in a worker conform`(_ backend: HostedJobs, _ behaviour: JobStoreBehaviour) async throws {
        try await withJobs(backend, behaviour.check)
    }

    @Test(arguments: JobStoreBehaviour.persistent)
    func `job records in a worker outlive it`(_ behaviour: JobStoreBehaviour) async throws {
        try await withJobs(.sqlite, behaviour.check)
    }

    @Test(arguments: HostedMetrics.allCases, MetricStoreBehaviour.all)
    func `metrics in a worker conform`(_ backend: HostedMetrics, _ behaviour: MetricStoreBehaviour) async throws {
        try await withMetrics(backend, behaviour.check)
    }

    @Test(arguments: MetricStoreBehaviour.persistent)
    func `metrics in a worker outlive it`(_ behaviour: MetricStoreBehaviour) async throws {
        try await withMetrics(.localGzip, behaviour.check)
    }

    private func withMetrics(
        _ backend: HostedMetrics, _ body: (StoreUnderTest<any MetricStore>) async throws -> Void
    ) async throws {
        try await withWorker { directory in
            switch backend {
            case .memory: WorkerStores(metrics: MemoryMetricStore())
            case .localGzip: WorkerStores(metrics: try LocalGzipMetricStore(directory: "\(directory)/metrics"))
            }
        } client: {
            $0.metrics
        } body: {
            try await body($0)
        }
    }

    private func withLogs(
        _ backend: HostedLogs, _ body: (StoreUnderTest<any LogStore>) async throws -> Void
    ) async throws {
        try await withWorker { directory in
            switch backend {
            case .memory: WorkerStores(logs: MemoryLogStore())
            case .localGzip: WorkerStores(logs: try LocalGzipLogStore(directory: "\(directory)/logs"))
            }
        } client: {
            $0.logs
        } body: {
            try await body($0)
        }
    }

    private func withJobs(
        _ backend: HostedJobs, _ body: (StoreUnderTest<any JobStore>) async throws -> Void
    ) async throws {
        try await withWorker { directory in
            switch backend {
            case .memory: WorkerStores(jobs: MemoryJobStore())
            case .sqlite: WorkerStores(jobs: try SQLiteJobStore(path: "\(directory)/state/jobs.db"))
            }
        } client: {
            $0.jobs
        } body: {
            try await body($0)
        }
    }

    /// Runs `body` with a store of a worker's; opening it again starts another worker in the place of the first.
    private func withWorker<Store: Sendable>(
        _ open: @escaping @Sendable (String) throws -> WorkerStores,
        client select: @escaping @Sendable (WorkerClient) -> Store,
        body: (StoreUnderTest<Store>) async throws -> Void
    ) async throws {
        let fixture = try WorkerFixture()
        let opened = Opened()
        let start: @Sendable () async throws -> Store = {
            await opened.close()
            let server = try await fixture.server(try open(fixture.directory.path), frameLimit: Self.frameLimit)
            await opened.add { await server.close() }
            let client = fixture.client(frameLimit: Self.frameLimit)
            await opened.add { await client.close() }
            return select(client)
        }
        do {
            try await body(StoreUnderTest(store: try await start(), reopen: start))
        } catch {
            await opened.close()
            throw error
        }
        await opened.close()
    }
}
