/// Everything that is kept of a job but its output and samples.
///
/// Records are values with a version: each change is a new version, a store keeps the highest.
public struct JobRecord: Sendable, Hashable, Codable {
    /// The job.
    public var id: JobID
    /// Counts the changes, from 1; a store ignores a version that it has.
    public var version: UInt64
    /// The node the job runs on, and the random id of that node's data directory.
    public var node: NodeIdentity
    /// What was asked for.
    public var specification: JobSpecification
    /// Where the job is in its life.
    public var status: JobStatus
    /// Why it is there, where the status does not say it: `oom`, `timeout`, `supervisor lost` …; else empty.
    public var reason: String
    /// The exit code: that of the process, −1 for an end by signal or stop, 127 or 126 for a command
    /// that cannot be executed.
    public var exitCode: Int32
    /// The signal that ended the process; 0 where none did.
    public var signal: Int32
    /// The process on the host; 0 before the start.
    public var pid: Int32
    /// What the start token, the id range and the boot belong to while the job is not ended.
    public var lease: JobLease?
    /// Nanoseconds since 1970 at which the job was accepted.
    public var createdAt: Int64
    /// Nanoseconds since 1970 at which its process began; nil before.
    public var startedAt: Int64?
    /// Nanoseconds since 1970 at which it ended; nil before.
    public var endedAt: Int64?

    /// A record of a job that was just accepted.
    public init(
        id: JobID, node: NodeIdentity, specification: JobSpecification, createdAt: Int64
    ) {
        self.id = id
        version = 1
        self.node = node
        self.specification = specification
        status = .initializing
        reason = ""
        exitCode = 0
        signal = 0
        pid = 0
        lease = nil
        self.createdAt = createdAt
        startedAt = nil
        endedAt = nil
    }
}

/// Which node a record belongs to.
public struct NodeIdentity: Sendable, Hashable, Codable {
    /// The configured or generated node id.
    public var id: String
    /// Random id of the data directory: tells a copied machine with the same node id from the first one.
    public var incarnation: String

    /// A node's identity.
    public init(id: String, incarnation: String) {
        self.id = id
        self.incarnation = incarnation
    }
}

/// What a job holds on its node while it is not ended.
public struct JobLease: Sendable, Hashable, Codable {
    /// The token under which a shim starts the job at most once.
    public var startToken: UInt64
    /// The first host id of the job's 65,536-id range; nil without a user namespace.
    public var idRange: UInt32?
    /// The host's boot id when the job was accepted (`/proc/sys/kernel/random/boot_id`).
    public var bootID: String

    /// A lease with the given values.
    public init(startToken: UInt64, idRange: UInt32?, bootID: String) {
        self.startToken = startToken
        self.idRange = idRange
        self.bootID = bootID
    }
}

/// What a user asked for.
public struct JobSpecification: Sendable, Hashable, Codable {
    /// A name for people; may be empty.
    public var name = ""
    /// The program.
    public var command: String
    /// Its arguments, without the program itself.
    public var arguments: [String] = []
    /// The directory it starts in.
    public var workDirectory = ""
    /// Variables anyone may see.
    public var environment: [String: String] = [:]
    /// Variables that print as `***`: here only sealed with the node's key.
    public var secretEnvironment: [String: SealedValue] = [:]
    /// The limits in force, defaults filled in.
    public var limits = JobLimits()
    /// The network's name.
    public var network = "none"
    /// Paths of uploaded files, relative to the work directory.
    public var uploads: [String] = []
    /// Whether a reaping init is PID 1 rather than the command.
    public var usesInit = false
    /// Whether the work directory outlives the job.
    public var keepsWork = false
    /// What the job's output survives: the death of any process, or also the host's.
    public var durability = Durability.process
    /// What happens when the job's unshipped output reaches its limit.
    public var outputPolicy = OutputPolicy.block
    /// How long the job may run, in nanoseconds; nil for no deadline.
    public var timeout: Int64?
    /// Labels for people and queries.
    public var labels: [String: String] = [:]

    /// A specification of a command, everything else at its default.
    public init(command: String) {
        self.command = command
    }
}

/// The limits of a job.
public struct JobLimits: Sendable, Hashable, Codable {
    /// Percent of one core; 0 for no limit.
    public var cpuPercent: Int32 = 0
    /// Bytes of memory; 0 for no limit.
    public var memoryBytes: Int64 = 0
    /// Processes and threads; 0 for no limit.
    public var processes: Int64 = 0

    /// No limits.
    public init() {}
}

/// What a job's output survives.
public enum Durability: String, Sendable, Hashable, Codable, CaseIterable {
    /// The death of any process of ours.
    case process
    /// Also the host's: RunJob answers after a group sync.
    case power
}

/// What happens at an output limit.
public enum OutputPolicy: String, Sendable, Hashable, Codable, CaseIterable {
    /// The pipe fills and the job waits.
    case block
    /// Bytes are dropped and a gap is noted.
    case drop
}

/// A secret, encrypted with the node's key; prints as `***`.
public struct SealedValue: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Nonce, cipher text and tag, base64.
    public let base64: String

    /// A value that was sealed already.
    public init(base64: String) {
        self.base64 = base64
    }

    public var description: String { "***" }
}
