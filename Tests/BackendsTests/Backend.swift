import Backends
import Storage
import StorageConformance
import Testing

/// A log store that the suite runs against.
enum LogBackend: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case localGzip = "local-gzip"
    case localGzipPower = "local-gzip with power"
    case sqlite
    case sqlitePower = "sqlite with power"

    var testDescription: String { rawValue }

    /// Every backend, the reference first.
    static let available = allCases

    /// Those that outlive their process.
    static let persistent = allCases.filter { $0 != .memory }

    /// Calls `body` with an empty store.
    func withFreshStore(_ body: (StoreUnderTest<any LogStore>) async throws -> Void) async throws {
        switch self {
        case .memory:
            let store = MemoryLogStore()
            try await body(StoreUnderTest(store: store) { store })
        case .localGzip, .localGzipPower:
            let durability = self == .localGzip ? Durability.process : .power
            try await withScratchDirectory { path in
                let open: @Sendable () throws -> any LogStore = {
                    try LocalGzipLogStore(directory: "\(path)/logs", durability: durability)
                }
                try await body(StoreUnderTest(store: open()) { try open() })
            }
        case .sqlite, .sqlitePower:
            let durability = self == .sqlite ? Durability.process : .power
            try await withScratchDirectory { path in
                let open: @Sendable () throws -> any LogStore = {
                    try SQLiteLogStore(path: "\(path)/logs/logs.db", durability: durability)
                }
                try await body(StoreUnderTest(store: open()) { try open() })
            }
        }
    }
}

@Suite struct LogStoreConformanceTests {
    @Test(arguments: LogBackend.available, LogStoreBehaviour.all)
    func conforms(_ backend: LogBackend, _ behaviour: LogStoreBehaviour) async throws {
        try await backend.withFreshStore(behaviour.check)
    }

    @Test(arguments: LogBackend.persistent, LogStoreBehaviour.persistent)
    func persists(_ backend: LogBackend, _ behaviour: LogStoreBehaviour) async throws {
        try await backend.withFreshStore(behaviour.check)
    }
}

/// A job store that the suite runs against.
enum JobBackend: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case sqlite
    case sqlitePower = "sqlite with power"

    var testDescription: String { rawValue }

    /// Every backend, the reference first.
    static let available = allCases

    /// Those that outlive their process.
    static let persistent = allCases.filter { $0 != .memory }

    /// Calls `body` with an empty store.
    func withFreshStore(_ body: (StoreUnderTest<any JobStore>) async throws -> Void) async throws {
        switch self {
        case .memory:
            let store = MemoryJobStore()
            try await body(StoreUnderTest(store: store) { store })
        case .sqlite, .sqlitePower:
            let durability = self == .sqlite ? Durability.process : .power
            try await withScratchDirectory { path in
                let open: @Sendable () throws -> any JobStore = {
                    try SQLiteJobStore(path: "\(path)/state/jobs.db", durability: durability)
                }
                try await body(StoreUnderTest(store: open()) { try open() })
            }
        }
    }
}

@Suite struct JobStoreConformanceTests {
    @Test(arguments: JobBackend.available, JobStoreBehaviour.all)
    func conforms(_ backend: JobBackend, _ behaviour: JobStoreBehaviour) async throws {
        try await backend.withFreshStore(behaviour.check)
    }

    @Test(arguments: JobBackend.persistent, JobStoreBehaviour.persistent)
    func persists(_ backend: JobBackend, _ behaviour: JobStoreBehaviour) async throws {
        try await backend.withFreshStore(behaviour.check)
    }
}

/// A metric store that the suite runs against.
enum MetricBackend: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case localGzip = "local-gzip"
    case localGzipSmallFiles = "local-gzip with a file for every member"
    case localGzipPower = "local-gzip with power"
    case sqlite
    case sqlitePower = "sqlite with power"

    var testDescription: String { rawValue }

    /// Every backend, the reference first.
    static let available = allCases

    /// Those that outlive their process.
    static let persistent = allCases.filter { $0 != .memory }

    /// Calls `body` with an empty store.
    func withFreshStore(_ body: (StoreUnderTest<any MetricStore>) async throws -> Void) async throws {
        switch self {
        case .memory:
            let store = MemoryMetricStore()
            try await body(StoreUnderTest(store: store) { store })
        case .localGzip, .localGzipSmallFiles, .localGzipPower:
            let durability = self == .localGzipPower ? Durability.power : .process
            let fileBytes: UInt64 = self == .localGzipSmallFiles ? 1 : 1 << 20
            try await withScratchDirectory { path in
                let open: @Sendable () throws -> any MetricStore = {
                    try LocalGzipMetricStore(
                        directory: "\(path)/metrics", durability: durability, fileBytes: fileBytes)
                }
                try await body(StoreUnderTest(store: open()) { try open() })
            }
        case .sqlite, .sqlitePower:
            let durability = self == .sqlite ? Durability.process : .power
            try await withScratchDirectory { path in
                let open: @Sendable () throws -> any MetricStore = {
                    try SQLiteMetricStore(path: "\(path)/metrics/metrics.db", durability: durability)
                }
                try await body(StoreUnderTest(store: open()) { try open() })
            }
        }
    }
}

@Suite struct MetricStoreConformanceTests {
    @Test(arguments: MetricBackend.available, MetricStoreBehaviour.all)
    func conforms(_ backend: MetricBackend, _ behaviour: MetricStoreBehaviour) async throws {
        try await backend.withFreshStore(behaviour.check)
    }

    @Test(arguments: MetricBackend.persistent, MetricStoreBehaviour.persistent)
    func persists(_ backend: MetricBackend, _ behaviour: MetricStoreBehaviour) async throws {
        try await backend.withFreshStore(behaviour.check)
    }
}
