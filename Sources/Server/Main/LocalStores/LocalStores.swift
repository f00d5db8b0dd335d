import Backends
public import Server
public import Storage

/// The stores on this machine that a configuration names: what the daemon and its workers have in common.
public struct LocalStores: Sendable {
    let configuration: Server.Configuration

    /// The stores of `configuration`; nothing is opened yet.
    public init(_ configuration: Server.Configuration) {
        self.configuration = configuration
    }

    private var durability: Durability { configuration.storage.durability }

    /// The databases of the backend `sqlite`.
    var logDatabase: String { "\(configuration.logDirectory)/logs.db" }
    var metricDatabase: String { "\(configuration.metricDirectory)/metrics.db" }

    /// Opens the log store; nil where the configuration names one in the cloud.
    public func logs() throws -> (any LogStore)? {
        let directory = configuration.logDirectory
        return switch configuration.storage.logs.backend {
        case .localGzip: try LocalGzipLogStore(directory: directory, durability: durability)
        case .sqlite: try SQLiteLogStore(path: logDatabase, durability: durability)
        case .memory: MemoryLogStore()
        case .s3: nil
        }
    }

    /// Opens the metric store; nil where the configuration names one in the cloud.
    public func metrics() throws -> (any MetricStore)? {
        let directory = configuration.metricDirectory
        return switch configuration.storage.metrics.backend {
        case .localGzip: try LocalGzipMetricStore(directory: directory, durability: durability)
        case .sqlite: try SQLiteMetricStore(path: metricDatabase, durability: durability)
        case .memory: MemoryMetricStore()
        case .s3: nil
        }
    }

    /// Opens the store of job records; nil where the configuration names one in the cloud.
    public func jobs() throws -> (any JobStore)? {
        switch configuration.storage.state.backend {
        case .sqlite: try SQLiteJobStore(path: configuration.stateDatabase, durability: durability)
        case .memory: MemoryJobStore()
        case .dynamodb: nil
        }
    }

    /// Opens the archives that retention copies to.
    public func archives() throws -> Archives {
        func directory(_ retention: Server.Configuration.Retention) -> String? {
            retention.action == .archive ? retention.archiveDirectory : nil
        }
        let (logs, metrics) = (
            directory(configuration.storage.logs.retention), directory(configuration.storage.metrics.retention)
        )
        return Archives(
            logs: try logs.map { try LocalGzipLogStore(directory: "\($0)/logs", durability: durability) },
            metrics: try metrics.map { try LocalGzipMetricStore(directory: "\($0)/metrics", durability: durability) })
    }
}

/// A backend that this program does not have.
public struct MissingBackendError: Error, CustomStringConvertible {
    /// The key that names it.
    public let key: String
    /// Where it can be had.
    public let advice: String

    /// The backend at `key` is missing.
    public init(key: String, advice: String) {
        self.key = key
        self.advice = advice
    }

    public var description: String { "\(key): \(advice)" }
}
