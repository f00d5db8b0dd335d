public import Storage

/// What the engine needs to know, apart from the stores.
public struct EngineConfiguration: Sendable, Hashable {
    /// Files that outlive the host's restart: node identity, journal, staging, kept work.
    public var dataDirectory = "/opt/joblet"
    /// Files of this boot, on a memory file system: shims and their sockets.
    public var runDirectory = "/run/joblet"
    /// The job outboxes.
    public var outboxDirectory = "/opt/joblet/outbox"
    /// The node id; empty to use the one generated in the data directory.
    public var nodeID = ""
    /// Whether the engine starts although its job store cannot say which jobs this node has.
    public var startsDegraded = false
    /// The program that supervises jobs.
    public var shimProgram = "/opt/joblet/bin/joblet-shim"
    /// The control group below which jobs get theirs; empty for the daemon's own.
    public var cgroupBase = ""
    /// Percent of one core for a job that asks for none; 0 for no limit.
    public var defaultCPUPercent: Int32 = 100
    /// Megabytes of memory for a job that asks for none; 0 for no limit.
    public var defaultMemoryMegabytes: Int32 = 512
    /// Processes and threads a job may have; 0 for no limit.
    public var defaultProcesses: Int64 = 4096
    /// Jobs that may run at once; 0 for no limit.
    public var maxConcurrentJobs = 100
    /// How long a job may run if it does not say, in nanoseconds; 0 for no deadline.
    public var defaultTimeout: Int64 = 0
    /// Nanoseconds between SIGTERM and SIGKILL.
    public var stopGrace: Int64 = 5_000_000_000
    /// Host paths that jobs see read-only.
    public var allowedMounts = ["/usr", "/bin", "/sbin", "/lib", "/lib64"]
    /// The directory a job starts in.
    public var workspaceDirectory = "/work"
    /// Bytes of `/work` in memory; of a job with uploads of more than half of that it lies on disk.
    public var workMemoryBytes: UInt64 = 256 << 20
    /// Bytes of `/work` on disk; 0 for no limit.
    public var workDiskBytes: UInt64 = 10 << 30
    /// Whether `/work` lies on disk for every job, not only for those that keep it.
    public var workOnDisk = false
    /// Bytes of `/tmp`.
    public var temporaryBytes: UInt64 = 64 << 20
    /// The first host id of the first job's range.
    public var firstID: UInt32 = 0x1000_0000
    /// The number of 65,536-id ranges.
    public var idRanges = 4096
    /// Whether jobs run in a user namespace of their own.
    public var usesUserNamespaces = true
    /// Whether jobs may share the host's network.
    public var allowsHostNetwork = true
    /// The network of a job that names none: `none` or `host`.
    public var defaultNetwork = "none"
    /// What output survives if the job does not say.
    public var durability = Durability.process
    /// What happens at an output limit if the job does not say.
    public var outputPolicy = OutputPolicy.block
    /// Bytes of output after which a new outbox segment begins.
    public var segmentBytes: UInt64 = 64 << 20
    /// Bytes of one job's output that may wait for the store.
    public var maxJobOutboxBytes: UInt64 = 1 << 30
    /// Bytes of all jobs' output that may wait for the store.
    public var maxNodeOutboxBytes: UInt64 = 8 << 30
    /// Bytes kept free below the node's limit for records of state and exits.
    public var reserveBytes: UInt64 = 64 << 20
    /// Nanoseconds after which what a job used is in its store at the latest, as long as the store takes it.
    public var maxShipAge: Int64 = 2_000_000_000
    /// Nanoseconds between two samples of what a job uses.
    public var metricInterval: Int64 = 5_000_000_000
    /// Bytes that one job's uploads may have.
    public var maxUploadBytes: Int64 = 1 << 30

    /// The defaults.
    public init() {}

    /// Bytes of all jobs' output at which no more is taken.
    var nodeOutboxLimit: UInt64 { maxNodeOutboxBytes - min(maxNodeOutboxBytes, reserveBytes) }
}
