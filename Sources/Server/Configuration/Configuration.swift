/// Everything that the daemon can be told, as one tree of values.
///
/// The properties are named in words; the key of the YAML file that sets each one is given in parentheses. Sizes are
/// bytes, paths are absolute. `docs/configuration.md` explains every default.
public struct Configuration: Sendable, Equatable {
    /// The file format's version (`version`); there is one, "3.0".
    public var version = "3.0"
    /// Where the daemon listens and which node it is (`server`).
    public var server = Server()
    /// Certificates and TLS (`security`).
    public var security = Security()
    /// Limits and times of jobs (`joblet`).
    public var joblet = Joblet()
    /// Directory of everything that must survive a restart (`dataDir`).
    public var dataDirectory = "/opt/joblet"
    /// Directory of sockets and other files of the running daemon (`runDir`).
    public var runDirectory = Self.defaultRunDirectory
    /// Where the jobs' cgroups are made (`cgroup`).
    public var cgroup = Cgroup()
    /// What a job sees of the host's files (`filesystem`).
    public var filesystem = Filesystem()
    /// The job's working directory (`work`).
    public var work = Work()
    /// The job's /tmp (`tmp`).
    public var tmp = Tmp()
    /// User ids, namespaces and what a job may ask for (`sandbox`).
    public var sandbox = Sandbox()
    /// Networks of jobs (`network`).
    public var network = Network()
    /// Where logs, samples and job records are stored (`storage`).
    public var storage = Storage()
    /// Local files that hold output until it is stored (`outbox`).
    public var outbox = Outbox()
    /// Files sent along with a job (`uploads`).
    public var uploads = Uploads()
    /// How what jobs use is read (`metrics`).
    public var metrics = Metrics()
    /// Limits of the gRPC server (`grpc`).
    public var grpc = GRPC()
    /// The daemon's own log (`logging`).
    public var logging = Logging()

    /// The values that apply when no file, variable or option says otherwise.
    public static let defaults = Configuration()

    /// Makes the defaults.
    public init() {}

    static let defaultRunDirectory = "/run/joblet"

    /// Every key that a file may contain, in the order of the shipped file.
    static let keys: [ConfigurationKey] =
        serverKeys + jobKeys + sandboxKeys + storageKeys + grpcKeys + loggingKeys
}

extension Configuration {
    /// Directory of the daemon's certificates when the file holds none: `security.certDir`, else below `dataDir`.
    public var certificateDirectory: String { security.certificateDirectory ?? dataDirectory + "/certs" }

    /// Directory of the stored logs: `storage.logs.directory`, else below `dataDir`.
    public var logDirectory: String { storage.logs.directory ?? dataDirectory + "/logs" }

    /// Directory of the stored samples: `storage.metrics.directory`, else below `dataDir`.
    public var metricDirectory: String { storage.metrics.directory ?? dataDirectory + "/metrics" }

    /// The database of job records: `storage.state.path`, else below `dataDir`.
    public var stateDatabase: String { storage.state.path ?? dataDirectory + "/state/jobs.db" }

    /// Directory of output that is not stored yet: `outbox.directory`, else below `dataDir`.
    public var outboxDirectory: String { outbox.directory ?? dataDirectory + "/outbox" }

    /// Socket of the worker `persist`: `storage.workers.persistSocket`, else in `runDir`.
    public var persistSocket: String { storage.workers.persistSocket ?? runDirectory + "/persist-ipc.sock" }

    /// Socket of the worker `state`: `storage.workers.stateSocket`, else in `runDir`.
    public var stateSocket: String { storage.workers.stateSocket ?? runDirectory + "/state-ipc.sock" }

    /// Socket of the worker `persist` for gRPC: `storage.query.socket`, else in `runDir`.
    public var querySocket: String { storage.query.socket ?? runDirectory + "/persist-grpc.sock" }

    /// One key and the value that is in force, as text.
    public struct Setting: Sendable, Equatable {
        /// The key's path, `server.port`.
        public let key: String
        /// The value as a file would say it; secrets read `<redacted>`, values not set are empty.
        public let value: String
    }

    /// Every key with the value that is in force, in the order of the shipped file.
    public var settings: [Setting] {
        Self.keys.map { Setting(key: $0.path, value: $0.show(self)) }
    }
}
