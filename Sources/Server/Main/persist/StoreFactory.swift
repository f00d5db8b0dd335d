import Backends
import Server
import Storage

/// The one place that knows the backends of logs and metrics.
enum StoreFactory {
    /// The stores that the configuration names.
    static func stores(_ configuration: Server.Configuration) throws -> WorkerStores {
        WorkerStores(logs: try logs(configuration), metrics: try metrics(configuration))
    }

    private static func logs(_ configuration: Server.Configuration) throws -> any LogStore {
        switch configuration.storage.logs.backend {
        case .localGzip:
            try LocalGzipLogStore(
                directory: configuration.logDirectory, durability: configuration.storage.durability)
        case .sqlite:
            try SQLiteLogStore(path: configuration.logDatabase, durability: configuration.storage.durability)
        case .memory: MemoryLogStore()
        case .s3: throw UnknownBackend(key: "storage.logs.backend", name: "s3")
        }
    }

    private static func metrics(_ configuration: Server.Configuration) throws -> any MetricStore {
        switch configuration.storage.metrics.backend {
        case .localGzip:
            try LocalGzipMetricStore(
                directory: configuration.metricDirectory, durability: configuration.storage.durability)
        case .sqlite:
            try SQLiteMetricStore(path: configuration.metricDatabase, durability: configuration.storage.durability)
        case .memory: MemoryMetricStore()
        case .s3: throw UnknownBackend(key: "storage.metrics.backend", name: "s3")
        }
    }
}

/// A backend that this build does not have.
struct UnknownBackend: Error, CustomStringConvertible {
    /// The key that names it.
    let key: String
    /// Its name.
    let name: String

    var description: String { "\(key): \(name) is not part of this build" }
}
