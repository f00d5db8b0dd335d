public import Kernel

/// Everything the child needs to build its sandbox and execute the job: plain, versioned data.
///
/// The daemon decides, the child obeys: no default and no path is chosen below this type.
public struct SandboxPlan: Sendable, Hashable {
    /// A host file or directory that appears in the sandbox.
    public struct Bind: Sendable, Hashable {
        /// The path on the host.
        public var source: String
        /// The path in the sandbox, absolute.
        public var target: String
        /// Whether the job may only read.
        public var isReadOnly: Bool

        /// A bind of `source` at `target`; always nosuid and nodev.
        public init(source: String, target: String, isReadOnly: Bool = true) {
            self.source = source
            self.target = target
            self.isReadOnly = isReadOnly
        }
    }

    /// A symbolic link in the sandbox's root.
    public struct Link: Sendable, Hashable {
        /// What it points to.
        public var destination: String
        /// Where it stands, absolute.
        public var path: String

        /// A link at `path` to `destination`.
        public init(destination: String, path: String) {
            self.destination = destination
            self.path = path
        }
    }

    /// What the work directory is made of.
    public enum Work: Sendable, Hashable {
        /// In memory, at most that many bytes, gone with the job.
        case memory(bytes: UInt64)
        /// In a host directory that outlives the job.
        case directory(String)
    }

    /// A resource limit of setrlimit(2).
    public struct ResourceLimit: Sendable, Hashable {
        /// The `RLIMIT_` number.
        public var resource: Int32
        /// The limit a process may raise to the hard one.
        public var soft: UInt64
        /// The limit it cannot raise.
        public var hard: UInt64

        /// A limit.
        public init(resource: Int32, soft: UInt64, hard: UInt64) {
            self.resource = resource
            self.soft = soft
            self.hard = hard
        }
    }

    /// An empty host directory on which the child mounts its root, in its own mount namespace.
    public var rootMount = ""
    /// The host name the job sees.
    public var hostname = ""
    /// The program and its arguments; the program is looked up in the sandbox's `PATH`.
    public var arguments: [String] = []
    /// `NAME=value` entries: the whole environment.
    public var environment: [String] = []
    /// The directory the program starts in.
    public var workDirectory = "/work"
    /// Where the work directory appears, absolute.
    public var workMount = "/work"
    /// Host files in the sandbox, in mounting order.
    public var binds: [Bind] = []
    /// Links in the sandbox's root.
    public var links: [Link] = []
    /// What the work directory is made of.
    public var work = Work.memory(bytes: 64 << 20)
    /// The size of `/tmp` in bytes.
    public var temporaryBytes: UInt64 = 64 << 20
    /// The size of `/dev/shm` in bytes.
    public var sharedMemoryBytes: UInt64 = 64 << 20
    /// A host directory whose contents are copied into `/work` first; empty for none.
    public var staging = ""
    /// The first host id of the job's 65,536 ids; nil to run as the host's root.
    public var idBase: UInt32?
    /// Whether host files appear with the job's ids rather than as nobody's (mount_setattr(2)).
    public var mapsFileOwners = true
    /// Whether the job gets a network namespace of its own, with only a loopback in it.
    public var isolatesNetwork = true
    /// Bits of the capabilities the job keeps.
    public var capabilities: UInt64 = 0
    /// The compiled seccomp filter, as an array of struct sock_filter.
    public var seccomp: [UInt8] = []
    /// Resource limits.
    public var resourceLimits: [ResourceLimit] = []
    /// Whether a reaping init is PID 1 rather than the program.
    public var usesInit = false

    private static let version: UInt16 = 1

    /// A plan with nothing in it.
    public init() {}

    /// The plan as it travels to the shim.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(SandboxPlan.version)
        for text in [rootMount, hostname, workDirectory, workMount, staging] { writer.write(text) }
        for list in [arguments, environment] { writer.write(list: list) { $0.write($1) } }
        writer.write(list: binds) { writer, bind in
            writer.write(bind.source)
            writer.write(bind.target)
            writer.write(bind.isReadOnly)
        }
        writer.write(list: links) { writer, link in
            writer.write(link.destination)
            writer.write(link.path)
        }
        switch work {
        case .memory(let bytes):
            writer.write(UInt8(0))
            writer.write(bytes)
        case .directory(let path):
            writer.write(UInt8(1))
            writer.write(path)
        }
        writer.write(temporaryBytes)
        writer.write(sharedMemoryBytes)
        writer.write(idBase != nil)
        writer.write(idBase ?? 0)
        writer.write(mapsFileOwners)
        writer.write(isolatesNetwork)
        writer.write(capabilities)
        writer.write(seccomp)
        writer.write(list: resourceLimits) { writer, limit in
            writer.write(limit.resource)
            writer.write(limit.soft)
            writer.write(limit.hard)
        }
        writer.write(usesInit)
        return writer.bytes
    }

    /// The plan in `bytes`.
    public init(decoding bytes: ArraySlice<UInt8>) throws(MalformedMessage) {
        var reader = ByteReader(bytes)
        guard try reader.read(UInt16.self) == SandboxPlan.version else { throw MalformedMessage("plan version 1") }
        rootMount = try reader.readString()
        hostname = try reader.readString()
        workDirectory = try reader.readString()
        workMount = try reader.readString()
        staging = try reader.readString()
        arguments = try reader.readList { (reader) throws(MalformedMessage) in try reader.readString() }
        environment = try reader.readList { (reader) throws(MalformedMessage) in try reader.readString() }
        binds = try reader.readList { (reader) throws(MalformedMessage) in
            Bind(
                source: try reader.readString(), target: try reader.readString(),
                isReadOnly: try reader.readBool())
        }
        links = try reader.readList { (reader) throws(MalformedMessage) in
            Link(destination: try reader.readString(), path: try reader.readString())
        }
        switch try reader.read(UInt8.self) {
        case 0: work = .memory(bytes: try reader.read(UInt64.self))
        case 1: work = .directory(try reader.readString())
        default: throw MalformedMessage("a kind of work directory")
        }
        temporaryBytes = try reader.read(UInt64.self)
        sharedMemoryBytes = try reader.read(UInt64.self)
        let hasIDs = try reader.readBool()
        let base = try reader.read(UInt32.self)
        idBase = hasIDs ? base : nil
        mapsFileOwners = try reader.readBool()
        isolatesNetwork = try reader.readBool()
        capabilities = try reader.read(UInt64.self)
        seccomp = Array(try reader.readBytes())
        resourceLimits = try reader.readList { (reader) throws(MalformedMessage) in
            ResourceLimit(
                resource: try reader.read(Int32.self), soft: try reader.read(UInt64.self),
                hard: try reader.read(UInt64.self))
        }
        usesInit = try reader.readBool()
        try reader.finish()
    }
}
