public import Kernel

/// A job as the shim knows it: the two halves of its UUID.
public struct ShimJob: Sendable, Hashable {
    /// The first eight bytes of the UUID.
    public var high: UInt64
    /// The last eight bytes.
    public var low: UInt64

    /// The job with these halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(high)
        writer.write(low)
    }

    init(from reader: inout ByteReader) throws(MalformedMessage) {
        high = try reader.read(UInt64.self)
        low = try reader.read(UInt64.self)
    }
}

/// The room that all jobs of a node share in the outbox.
public struct OutboxBudget: Sendable, Hashable {
    /// The directory that holds the jobs' outboxes.
    public var root: String
    /// Bytes that data and index of all jobs may take.
    public var nodeBytes: UInt64
    /// Bytes of the file system that output leaves free.
    public var reserveBytes: UInt64

    /// A budget of `nodeBytes` below `root`, where `reserveBytes` stay free.
    public init(root: String, nodeBytes: UInt64, reserveBytes: UInt64) {
        self.root = root
        self.nodeBytes = nodeBytes
        self.reserveBytes = reserveBytes
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(root)
        writer.write(nodeBytes)
        writer.write(reserveBytes)
    }

    package init(from reader: inout ByteReader) throws(MalformedMessage) {
        root = try reader.readString()
        nodeBytes = try reader.read(UInt64.self)
        reserveBytes = try reader.read(UInt64.self)
    }
}

/// Where a job's output goes and how much of it may wait there.
public struct OutputPlan: Sendable, Hashable {
    /// The directory that holds the jobs' outboxes.
    public var root: String
    /// Bytes after which a new segment begins.
    public var segmentBytes: UInt64
    /// Bytes, index included, that may wait for a store.
    public var jobBytes: UInt64
    /// Whether bytes over a limit are dropped; otherwise the job waits.
    public var dropsAtLimit: Bool

    /// A plan with the given values.
    public init(root: String, segmentBytes: UInt64, jobBytes: UInt64, dropsAtLimit: Bool) {
        self.root = root
        self.segmentBytes = segmentBytes
        self.jobBytes = jobBytes
        self.dropsAtLimit = dropsAtLimit
    }

    /// Adds the plan to a message.
    public func encode(into writer: inout ByteWriter) {
        writer.write(root)
        writer.write(segmentBytes)
        writer.write(jobBytes)
        writer.write(dropsAtLimit)
    }

    /// Reads the plan from a message.
    public init(from reader: inout ByteReader) throws(MalformedMessage) {
        root = try reader.readString()
        segmentBytes = try reader.read(UInt64.self)
        jobBytes = try reader.read(UInt64.self)
        dropsAtLimit = try reader.readBool()
    }
}

/// The control groups a job runs in: directories to make, files to write, and how to join.
public struct CgroupPlan: Sendable, Hashable {
    /// A control file and what is written to it.
    public struct Setting: Sendable, Hashable {
        /// The file's path.
        public var path: String
        /// What is written.
        public var value: String

        /// A setting.
        public init(path: String, value: String) {
            self.path = path
            self.value = value
        }
    }

    /// Whether this is the unified hierarchy, where clone3(2) places the child; else v1.
    public var isUnified: Bool
    /// Directories to make, one a hierarchy; the first lists the job's processes.
    public var directories: [String]
    /// Control files to write, in order.
    public var settings: [Setting]
    /// The file whose `oom_kill` line counts the processes killed for memory; empty for none.
    public var outOfMemoryEvents: String

    /// A plan with the given values.
    public init(isUnified: Bool, directories: [String], settings: [Setting], outOfMemoryEvents: String) {
        self.isUnified = isUnified
        self.directories = directories
        self.settings = settings
        self.outOfMemoryEvents = outOfMemoryEvents
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(isUnified)
        writer.write(list: directories) { $0.write($1) }
        writer.write(list: settings) { writer, setting in
            writer.write(setting.path)
            writer.write(setting.value)
        }
        writer.write(outOfMemoryEvents)
    }

    init(from reader: inout ByteReader) throws(MalformedMessage) {
        isUnified = try reader.readBool()
        directories = try reader.readList { (reader) throws(MalformedMessage) in try reader.readString() }
        settings = try reader.readList { (reader) throws(MalformedMessage) in
            Setting(path: try reader.readString(), value: try reader.readString())
        }
        outOfMemoryEvents = try reader.readString()
    }
}

/// Asks the shim to start a job.
public struct StartRequest: Sendable, Hashable {
    /// Starts at most one process, however often it is sent.
    public var token: UInt64
    /// The job.
    public var job: ShimJob
    /// The job's control groups.
    public var cgroup: CgroupPlan
    /// Where its output goes.
    public var output: OutputPlan
    /// The first host id of its user namespace; nil for none.
    public var idBase: UInt32?
    /// Whether the init program has to be handed to the child.
    public var usesInit: Bool
    /// The encoded sandbox plan; empty in a decoded request, which keeps only its range.
    public var plan: [UInt8]
    /// Where the plan lies in the frame's body.
    public private(set) var planRange: Range<Int> = 0..<0

    /// A request with the given values.
    public init(
        token: UInt64, job: ShimJob, cgroup: CgroupPlan, output: OutputPlan, plan: SandboxPlan
    ) {
        self.token = token
        self.job = job
        self.cgroup = cgroup
        self.output = output
        idBase = plan.idBase
        usesInit = plan.usesInit
        self.plan = plan.encoded
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(token)
        job.encode(into: &writer)
        cgroup.encode(into: &writer)
        output.encode(into: &writer)
        writer.write(idBase != nil)
        writer.write(idBase ?? 0)
        writer.write(usesInit)
        writer.write(plan)
    }

    /// Decodes all but the plan, which holds secrets and is read only in the child.
    init(from reader: inout ByteReader, bodyCount: Int) throws(MalformedMessage) {
        token = try reader.read(UInt64.self)
        job = try ShimJob(from: &reader)
        cgroup = try CgroupPlan(from: &reader)
        output = try OutputPlan(from: &reader)
        let hasIDs = try reader.readBool()
        let base = try reader.read(UInt32.self)
        idBase = hasIDs ? base : nil
        usesInit = try reader.readBool()
        plan = []
        let count = Int(try reader.read(UInt32.self))
        guard count == reader.remaining else { throw MalformedMessage("a plan of \(count) bytes") }
        planRange = bodyCount - count..<bodyCount
    }
}

/// What the shim knows of a job.
public struct ShimJobState: Sendable, Hashable {
    /// The job.
    public var job: ShimJob
    /// The token that started it.
    public var token: UInt64
    /// Its first process on the host.
    public var pid: Int32
    /// Nanoseconds since 1970 at which it began; 0 while its sandbox is being built.
    public var startedAt: Int64
    /// How it ended; nil while it runs.
    public var exit: ExitRecord?
    /// Whether its log is complete.
    public var isDrained: Bool

    /// A state with the given values.
    public init(
        job: ShimJob, token: UInt64, pid: Int32, startedAt: Int64, exit: ExitRecord?, isDrained: Bool
    ) {
        self.job = job
        self.token = token
        self.pid = pid
        self.startedAt = startedAt
        self.exit = exit
        self.isDrained = isDrained
    }

    func encode(into writer: inout ByteWriter) {
        job.encode(into: &writer)
        writer.write(token)
        writer.write(pid)
        writer.write(startedAt)
        writer.write(exit != nil)
        exit?.encode(into: &writer)
        writer.write(isDrained)
    }

    init(from reader: inout ByteReader) throws(MalformedMessage) {
        job = try ShimJob(from: &reader)
        token = try reader.read(UInt64.self)
        pid = try reader.read(Int32.self)
        startedAt = try reader.read(Int64.self)
        exit = try reader.readBool() ? try ExitRecord(from: &reader) : nil
        isDrained = try reader.readBool()
    }
}

/// How a job's first process ended; in the shim's `exits` file, 48 bytes with a CRC-32C each.
public struct ExitRecord: Sendable, Hashable {
    /// The size of an entry of the `exits` file.
    public static let size = 48

    /// The job.
    public var job: ShimJob
    /// The token that started it.
    public var token: UInt64
    /// Nanoseconds since 1970.
    public var time: Int64
    /// The exit code; −1 where a signal ended it.
    public var exitCode: Int32
    /// The signal; 0 where it exited by itself.
    public var signal: Int32
    /// Whether a process of the job was killed because its memory limit was reached.
    public var ranOutOfMemory: Bool

    /// A record with the given values.
    public init(
        job: ShimJob, token: UInt64, time: Int64, exitCode: Int32, signal: Int32, ranOutOfMemory: Bool
    ) {
        self.job = job
        self.token = token
        self.time = time
        self.exitCode = exitCode
        self.signal = signal
        self.ranOutOfMemory = ranOutOfMemory
    }

    func encode(into writer: inout ByteWriter) {
        job.encode(into: &writer)
        writer.write(token)
        writer.write(time)
        writer.write(Int16(clamping: exitCode))
        writer.write(Int8(clamping: signal))
        writer.write(ranOutOfMemory)
    }

    init(from reader: inout ByteReader) throws(MalformedMessage) {
        job = try ShimJob(from: &reader)
        token = try reader.read(UInt64.self)
        time = try reader.read(Int64.self)
        exitCode = Int32(try reader.read(Int16.self))
        signal = Int32(try reader.read(Int8.self))
        ranOutOfMemory = try reader.readBool()
    }

    /// The entry of the `exits` file.
    public var entry: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        writer.write(UInt64(0))
        writer.write(Checksum.crc32c(writer.bytes.prefix(44)))
        return Array(writer.bytes.prefix(ExitRecord.size))
    }

    /// The record in an entry of the `exits` file; nil where the entry is not whole.
    public init?(entry: ArraySlice<UInt8>) {
        guard entry.count == ExitRecord.size else { return nil }
        var tail = ByteReader(entry.suffix(4))
        guard let sum = try? tail.read(UInt32.self), sum == Checksum.crc32c(entry.prefix(44)) else { return nil }
        var reader = ByteReader(entry)
        guard let record = try? ExitRecord(from: &reader) else { return nil }
        self = record
    }
}
