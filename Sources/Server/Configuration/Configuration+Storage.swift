public import Storage

extension Configuration {
    /// Where logs, samples and job records are stored.
    public struct Storage: Sendable, Equatable {
        /// Which process the stores run in (`storage.mode`).
        public var mode = StorageMode.embedded
        /// The store of the jobs' output (`storage.logs`).
        public var logs = LogStorage()
        /// The store of what jobs used (`storage.metrics`).
        public var metrics = MetricStorage()
        /// The store of job records (`storage.state`).
        public var state = StateStorage()
        /// What accepted data survives (`storage.durability`).
        public var durability = Durability.process

        /// Makes the defaults.
        public init() {}
    }

    /// Which process the stores run in.
    public enum StorageMode: String, Sendable, CaseIterable {
        /// In the daemon.
        case embedded
    }

    /// The store of the jobs' output.
    public struct LogStorage: Sendable, Equatable {
        /// The kind of store (`storage.logs.backend`).
        public var backend = LogBackend.localGzip
        /// Its directory (`storage.logs.directory`); none: `logs` below the data directory.
        public var directory: String?

        /// Makes the defaults.
        public init() {}
    }

    /// A kind of log store.
    public enum LogBackend: String, Sendable, CaseIterable {
        /// Gzip files, one directory a job.
        case localGzip = "local-gzip"
        /// In memory; gone when the daemon ends.
        case memory
    }

    /// The store of what jobs used.
    public struct MetricStorage: Sendable, Equatable {
        /// The kind of store (`storage.metrics.backend`).
        public var backend = MetricBackend.localGzip
        /// Its directory (`storage.metrics.directory`); none: `metrics` below the data directory.
        public var directory: String?

        /// Makes the defaults.
        public init() {}
    }

    /// A kind of store for samples.
    public enum MetricBackend: String, Sendable, CaseIterable {
        /// JSON Lines in gzip files, one directory a job.
        case localGzip = "local-gzip"
        /// One SQLite database, `metrics.db`.
        case sqlite
        /// In memory; gone when the daemon ends.
        case memory
    }

    /// The store of job records.
    public struct StateStorage: Sendable, Equatable {
        /// The kind of store (`storage.state.backend`).
        public var backend = StateBackend.sqlite
        /// Its database file (`storage.state.path`); none: `state/jobs.db` below the data directory.
        public var path: String?

        /// Makes the defaults.
        public init() {}
    }

    /// A kind of store for job records.
    public enum StateBackend: String, Sendable, CaseIterable {
        /// One SQLite database.
        case sqlite
        /// In memory; gone when the daemon ends.
        case memory
    }

    /// Local files that hold output until it is stored.
    public struct Outbox: Sendable, Equatable {
        /// Their directory (`outbox.directory`); none: `outbox` below the data directory.
        public var directory: String?
        /// Size at which a file is closed and the next begun (`outbox.segmentBytes`).
        public var segmentBytes = 64 << 20
        /// What one job may have waiting, data and index (`outbox.maxJobBytes`).
        public var maxJobBytes = 1 << 30
        /// What all jobs of the node may have waiting together (`outbox.maxNodeBytes`).
        public var maxNodeBytes = 8 << 30
        /// The part of it that only state and exit records may use (`outbox.reserveBytes`).
        public var reserveBytes = 64 << 20
        /// What happens to output at a limit (`outbox.onFull`).
        public var onFull = OutputPolicy.block

        /// Makes the defaults.
        public init() {}
    }

    /// Files sent along with a job.
    public struct Uploads: Sendable, Equatable {
        /// What the files of one job may have together (`uploads.maxBytes`).
        public var maxBytes = 1 << 30

        /// Makes the defaults.
        public init() {}
    }

    /// How what jobs use is read.
    public struct Metrics: Sendable, Equatable {
        /// Time between two samples of a job (`metrics.interval`).
        public var interval = Duration.seconds(5)

        /// Makes the defaults.
        public init() {}
    }

    static let storageKeys: [ConfigurationKey] = [
        ConfigurationKey("storage.mode", \.storage.mode, .choice()),
        ConfigurationKey("storage.logs.backend", \.storage.logs.backend, .choice()),
        ConfigurationKey("storage.logs.directory", \.storage.logs.directory, .pathOrDefault),
        ConfigurationKey("storage.metrics.backend", \.storage.metrics.backend, .choice()),
        ConfigurationKey("storage.metrics.directory", \.storage.metrics.directory, .pathOrDefault),
        ConfigurationKey("storage.state.backend", \.storage.state.backend, .choice()),
        ConfigurationKey("storage.state.path", \.storage.state.path, .pathOrDefault),
        ConfigurationKey("storage.durability", \.storage.durability, .choice()),
        ConfigurationKey("outbox.directory", \.outbox.directory, .pathOrDefault),
        ConfigurationKey("outbox.segmentBytes", \.outbox.segmentBytes, .size(64 << 10...4 << 30)),
        ConfigurationKey("outbox.maxJobBytes", \.outbox.maxJobBytes, .size(64 << 10...1 << 50)),
        ConfigurationKey("outbox.maxNodeBytes", \.outbox.maxNodeBytes, .size(128 << 10...1 << 50)),
        ConfigurationKey("outbox.reserveBytes", \.outbox.reserveBytes, .size(64 << 10...1 << 40)),
        ConfigurationKey("outbox.onFull", \.outbox.onFull, .choice()),
        ConfigurationKey("uploads.maxBytes", \.uploads.maxBytes, .size(1 << 10...1 << 40)),
        ConfigurationKey("metrics.interval", \.metrics.interval, .duration(.milliseconds(10) ... .hours(1))),
    ]
}
