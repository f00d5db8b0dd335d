public import Storage

extension Configuration {
    /// Where logs, samples and job records are stored.
    public struct Storage: Sendable, Equatable {
        /// Which process the stores run in (`storage.mode`).
        public var mode = StorageMode.embedded
        /// Whether the daemon starts although its storage workers do not answer (`storage.startDegraded`).
        public var startDegraded = false
        /// How old samples are at most when their store shows them (`storage.maxShipAge`).
        public var maxShipAge = Duration.seconds(2)
        /// The store of the jobs' output (`storage.logs`).
        public var logs = LogStorage()
        /// The store of what jobs used (`storage.metrics`).
        public var metrics = MetricStorage()
        /// The store of job records (`storage.state`).
        public var state = StateStorage()
        /// What accepted data survives (`storage.durability`).
        public var durability = Durability.process
        /// How the daemon and its workers find each other (`storage.workers`).
        public var workers = Workers()
        /// Where the worker `persist` answers queries itself (`storage.query`).
        public var query = Query()

        /// Makes the defaults.
        public init() {}
    }

    /// Which process the stores run in.
    public enum StorageMode: String, Sendable, CaseIterable {
        /// In the daemon.
        case embedded
        /// In `persist` (logs, metrics) and `state` (job records), which the daemon starts.
        case workers
    }

    /// The store of the jobs' output.
    public struct LogStorage: Sendable, Equatable {
        /// The kind of store (`storage.logs.backend`).
        public var backend = LogBackend.localGzip
        /// Its directory (`storage.logs.directory`); none: `logs` below the data directory.
        public var directory: String?
        /// Its bucket, where the backend is `s3` (`storage.logs.s3`).
        public var s3 = S3()
        /// What is kept (`storage.logs.retention`).
        public var retention = Retention(maxAge: .hours(30 * 24))

        /// Makes the defaults.
        public init() {}
    }

    /// A kind of store for logs and samples.
    public enum LogBackend: String, Sendable, CaseIterable {
        /// Gzip files, one directory a job.
        case localGzip = "local-gzip"
        /// One SQLite database.
        case sqlite
        /// Objects in a bucket of S3 or of a service that speaks its protocol.
        case s3
        /// In memory; gone when the process ends.
        case memory
    }

    /// The store of what jobs used.
    public struct MetricStorage: Sendable, Equatable {
        /// The kind of store (`storage.metrics.backend`).
        public var backend = LogBackend.localGzip
        /// Its directory (`storage.metrics.directory`); none: `metrics` below the data directory.
        public var directory: String?
        /// Its bucket, where the backend is `s3` (`storage.metrics.s3`); as it is made: that of the logs.
        public var s3 = S3()
        /// What is kept (`storage.metrics.retention`).
        public var retention = Retention(maxAge: .hours(90 * 24))

        /// Makes the defaults.
        public init() {}
    }

    /// The store of job records.
    public struct StateStorage: Sendable, Equatable {
        /// The kind of store (`storage.state.backend`).
        public var backend = StateBackend.sqlite
        /// Its database file (`storage.state.path`); none: `state/jobs.db` below the data directory.
        public var path: String?
        /// Its table, where the backend is `dynamodb` (`storage.state.dynamodb`).
        public var dynamoDB = DynamoDB()
        /// Age since its end at which a job's record is dropped (`storage.state.retention.maxAge`); zero: never.
        public var maxAge = Duration.zero
        /// How often that is looked for (`storage.state.retention.cleanupInterval`).
        public var cleanupInterval = Duration.hours(24)

        /// Makes the defaults.
        public init() {}
    }

    /// A kind of store for job records.
    public enum StateBackend: String, Sendable, CaseIterable {
        /// One SQLite database.
        case sqlite
        /// A table of DynamoDB.
        case dynamodb
        /// In memory; gone when the process ends.
        case memory
    }

    /// How the daemon and its workers find each other.
    public struct Workers: Sendable, Equatable {
        /// Socket of `persist` (`storage.workers.persistSocket`); none: `persist-ipc.sock` in the run directory.
        public var persistSocket: String?
        /// Socket of `state` (`storage.workers.stateSocket`); none: `state-ipc.sock` in the run directory.
        public var stateSocket: String?
        /// The longest message between them (`storage.workers.maxMessageBytes`).
        public var maxMessageBytes = 10 << 20

        /// Makes the defaults.
        public init() {}
    }

    /// Where the worker `persist` answers queries itself.
    public struct Query: Sendable, Equatable {
        /// Its gRPC socket (`storage.query.socket`); none: `persist-grpc.sock` in the run directory.
        public var socket: String?
        /// Its TCP address (`storage.query.address`); empty: none.
        public var address = "127.0.0.1:50052"
        /// Whether TCP takes mutual TLS with the server's certificates only (`storage.query.tls`).
        public var tls = false

        /// Makes the defaults.
        public init() {}
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
        ConfigurationKey("storage.durability", \.storage.durability, .choice()),
        ConfigurationKey("storage.startDegraded", \.storage.startDegraded, .boolean),
        ConfigurationKey("storage.maxShipAge", \.storage.maxShipAge, .duration(.zero ... .seconds(60))),
        ConfigurationKey("storage.logs.backend", \.storage.logs.backend, .choice()),
        ConfigurationKey("storage.logs.directory", \.storage.logs.directory, .pathOrDefault),
        ConfigurationKey("storage.logs.s3.bucket", \.storage.logs.s3.bucket, .bucket),
        ConfigurationKey("storage.logs.s3.prefix", \.storage.logs.s3.prefix, .objectPrefix),
        ConfigurationKey("storage.logs.s3.region", \.storage.logs.s3.region, .region),
        ConfigurationKey("storage.logs.s3.endpoint", \.storage.logs.s3.endpoint, .endpoint),
        ConfigurationKey("storage.logs.s3.pathStyle", \.storage.logs.s3.pathStyle, .choice()),
        ConfigurationKey("storage.logs.s3.serverSideEncryption", \.storage.logs.s3.encryption, .choice()),
        ConfigurationKey("storage.logs.s3.kmsKeyId", \.storage.logs.s3.kmsKeyID, .word(2048)),
        ConfigurationKey("storage.logs.s3.createBucket", \.storage.logs.s3.createBucket, .boolean),
        ConfigurationKey("storage.logs.s3.lifecycle", \.storage.logs.s3.lifecycle, .boolean),
        ConfigurationKey("storage.logs.retention.maxAge", \.storage.logs.retention.maxAge, .age),
        ConfigurationKey("storage.logs.retention.maxBytes", \.storage.logs.retention.maxBytes, .size(0...1 << 60)),
        ConfigurationKey(
            "storage.logs.retention.maxJobBytes", \.storage.logs.retention.maxJobBytes, .size(0...1 << 60)),
        ConfigurationKey(
            "storage.logs.retention.cleanupInterval", \.storage.logs.retention.cleanupInterval, .cleanupInterval),
        ConfigurationKey("storage.logs.retention.action", \.storage.logs.retention.action, .choice()),
        ConfigurationKey(
            "storage.logs.retention.archiveDirectory", \.storage.logs.retention.archiveDirectory, .pathOrDefault),
        ConfigurationKey("storage.metrics.backend", \.storage.metrics.backend, .choice()),
        ConfigurationKey("storage.metrics.directory", \.storage.metrics.directory, .pathOrDefault),
        ConfigurationKey("storage.metrics.s3.bucket", \.storage.metrics.s3.bucket, .bucket),
        ConfigurationKey("storage.metrics.s3.prefix", \.storage.metrics.s3.prefix, .objectPrefix),
        ConfigurationKey("storage.metrics.s3.region", \.storage.metrics.s3.region, .region),
        ConfigurationKey("storage.metrics.s3.endpoint", \.storage.metrics.s3.endpoint, .endpoint),
        ConfigurationKey("storage.metrics.s3.pathStyle", \.storage.metrics.s3.pathStyle, .choice()),
        ConfigurationKey("storage.metrics.s3.serverSideEncryption", \.storage.metrics.s3.encryption, .choice()),
        ConfigurationKey("storage.metrics.s3.kmsKeyId", \.storage.metrics.s3.kmsKeyID, .word(2048)),
        ConfigurationKey("storage.metrics.s3.createBucket", \.storage.metrics.s3.createBucket, .boolean),
        ConfigurationKey("storage.metrics.s3.lifecycle", \.storage.metrics.s3.lifecycle, .boolean),
        ConfigurationKey("storage.metrics.retention.maxAge", \.storage.metrics.retention.maxAge, .age),
        ConfigurationKey(
            "storage.metrics.retention.maxBytes", \.storage.metrics.retention.maxBytes, .size(0...1 << 60)),
        ConfigurationKey(
            "storage.metrics.retention.maxJobBytes", \.storage.metrics.retention.maxJobBytes, .size(0...1 << 60)),
        ConfigurationKey(
            "storage.metrics.retention.cleanupInterval", \.storage.metrics.retention.cleanupInterval,
            .cleanupInterval),
        ConfigurationKey("storage.metrics.retention.action", \.storage.metrics.retention.action, .choice()),
        ConfigurationKey(
            "storage.metrics.retention.archiveDirectory", \.storage.metrics.retention.archiveDirectory,
            .pathOrDefault),
        ConfigurationKey("storage.state.backend", \.storage.state.backend, .choice()),
        ConfigurationKey("storage.state.path", \.storage.state.path, .pathOrDefault),
        ConfigurationKey("storage.state.dynamodb.table", \.storage.state.dynamoDB.table, .table),
        ConfigurationKey("storage.state.dynamodb.region", \.storage.state.dynamoDB.region, .region),
        ConfigurationKey("storage.state.dynamodb.endpoint", \.storage.state.dynamoDB.endpoint, .endpoint),
        ConfigurationKey("storage.state.dynamodb.createTable", \.storage.state.dynamoDB.createTable, .boolean),
        ConfigurationKey("storage.state.dynamodb.ttl", \.storage.state.dynamoDB.timeToLive, .age),
        ConfigurationKey("storage.state.retention.maxAge", \.storage.state.maxAge, .age),
        ConfigurationKey("storage.state.retention.cleanupInterval", \.storage.state.cleanupInterval, .cleanupInterval),
        ConfigurationKey("storage.workers.persistSocket", \.storage.workers.persistSocket, .pathOrDefault),
        ConfigurationKey("storage.workers.stateSocket", \.storage.workers.stateSocket, .pathOrDefault),
        ConfigurationKey(
            "storage.workers.maxMessageBytes", \.storage.workers.maxMessageBytes, .size(10 << 20...128 << 20)),
        ConfigurationKey("storage.query.socket", \.storage.query.socket, .pathOrDefault),
        ConfigurationKey("storage.query.address", \.storage.query.address, .hostAndPortOrNone),
        ConfigurationKey("storage.query.tls", \.storage.query.tls, .boolean),
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
