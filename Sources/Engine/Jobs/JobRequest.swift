public import Storage

/// What a user asks for, before it is checked; secrets are still readable.
public struct JobRequest: Sendable {
    /// A name for people; may be empty.
    public var name = ""
    /// The program.
    public var command = ""
    /// Its arguments.
    public var arguments: [String] = []
    /// Percent of one core; 0 for the node's default.
    public var cpuPercent: Int32 = 0
    /// Megabytes of memory; 0 for the node's default.
    public var memoryMegabytes: Int32 = 0
    /// The network; empty for the node's default.
    public var network = ""
    /// The directory to start in; empty for the node's default, relative to it otherwise.
    public var workDirectory = ""
    /// Variables anyone may see.
    public var environment: [String: String] = [:]
    /// Variables that nobody is shown.
    public var secretEnvironment: [String: String] = [:]
    /// How long the job may run, in nanoseconds; nil for the node's default.
    public var timeout: Int64?
    /// Whether a reaping init is PID 1.
    public var usesInit = false
    /// Whether the work directory outlives the job.
    public var keepsWork = false
    /// What the output survives; nil for the node's default.
    public var durability: Durability?
    /// What happens at an output limit; nil for the node's default.
    public var outputPolicy: OutputPolicy?
    /// Labels for people and queries.
    public var labels: [String: String] = [:]

    /// An empty request.
    public init() {}
}

/// The limits of execve(2) and of what a record may hold.
enum JobRequestLimits {
    /// MAX_ARG_STRLEN: the kernel refuses a longer argument or variable.
    static let stringBytes = 131_071
    /// Arguments and environment together; the kernel allows a quarter of the stack limit, 2 MiB.
    static let totalBytes = 1_900_000
    static let nameBytes = 255
    static let labels = 64
    /// Below this a program cannot even be loaded.
    static let memoryMegabytes: Int32 = 6
}

extension JobSpecification {
    /// The specification that a request stands for on this node; throws `invalidArgument` where it makes no
    /// sense, `failedPrecondition` or `unimplemented` where this node cannot do it.
    init(
        _ request: JobRequest, id: JobID, configuration: EngineConfiguration, key: SecretKey, host: HostResources
    ) throws(EngineError) {
        try JobSpecification.check(request, host: host)
        self.init(command: request.command)
        name = request.name
        arguments = request.arguments
        environment = request.environment
        for (name, value) in request.secretEnvironment {
            secretEnvironment[name] = try key.seal(value, context: "\(id)/\(name)")
        }
        limits.cpuPercent = request.cpuPercent > 0 ? request.cpuPercent : configuration.defaultCPUPercent
        let megabytes = request.memoryMegabytes > 0 ? request.memoryMegabytes : configuration.defaultMemoryMegabytes
        limits.memoryBytes = Int64(megabytes) << 20
        limits.processes = configuration.defaultProcesses
        network = request.network.isEmpty ? configuration.defaultNetwork : request.network
        try JobSpecification.check(network: network, configuration: configuration)
        workDirectory = try JobSpecification.directory(request.workDirectory, configuration.workspaceDirectory)
        usesInit = request.usesInit
        keepsWork = request.keepsWork
        durability = request.durability ?? configuration.durability
        outputPolicy = request.outputPolicy ?? configuration.outputPolicy
        let timeout = request.timeout ?? configuration.defaultTimeout
        self.timeout = timeout > 0 ? timeout : nil
        labels = request.labels
    }

    private static func check(_ request: JobRequest, host: HostResources) throws(EngineError) {
        func refuse(_ message: String) -> EngineError { EngineError(.invalidArgument, "invalid request: \(message)") }
        guard !request.command.isEmpty else { throw refuse("command is required") }
        var total = 0
        for text in [request.command] + request.arguments {
            guard !text.utf8.contains(0) else { throw refuse("an argument contains a null byte") }
            guard text.utf8.count <= JobRequestLimits.stringBytes else {
                throw refuse("an argument is too long (\(text.utf8.count) bytes, max \(JobRequestLimits.stringBytes))")
            }
            total += text.utf8.count + 9
        }
        for (name, value) in request.environment.merging(request.secretEnvironment, uniquingKeysWith: { $1 }) {
            guard isVariableName(name) else {
                throw refuse(
                    "invalid environment variable name '\(name.prefix(64))': must start with letter or underscore and "
                        + "contain only letters, numbers, and underscores")
            }
            guard !value.utf8.contains(0) else { throw refuse("environment variable '\(name)' contains a null byte") }
            let size = name.utf8.count + value.utf8.count + 1
            guard size <= JobRequestLimits.stringBytes else {
                throw refuse("environment variable '\(name)' is too long (\(size) bytes)")
            }
            total += size + 9
        }
        guard total <= JobRequestLimits.totalBytes else {
            throw refuse("arguments and environment are too long (\(total) bytes, max \(JobRequestLimits.totalBytes))")
        }
        guard request.cpuPercent >= 0 else { throw refuse("maxCPU cannot be negative") }
        guard Int(request.cpuPercent) <= 100 * host.processors else {
            throw refuse("maxCPU exceeds system limits (\(100 * host.processors) on this node)")
        }
        guard request.memoryMegabytes >= 0 else { throw refuse("maxMemory cannot be negative") }
        if request.memoryMegabytes > 0 {
            guard request.memoryMegabytes >= JobRequestLimits.memoryMegabytes else {
                throw refuse("maxMemory must be at least \(JobRequestLimits.memoryMegabytes) MB")
            }
            guard Int64(request.memoryMegabytes) << 20 <= host.memoryBytes else {
                throw EngineError(
                    .invalidArgument,
                    "job creation failed: maxMemory exceeds system limits (\(host.memoryBytes >> 20) MB on this node)")
            }
        }
        guard request.name.utf8.count <= JobRequestLimits.nameBytes, isPrintable(request.name) else {
            throw refuse("the job's name must be at most \(JobRequestLimits.nameBytes) printable bytes")
        }
        guard request.labels.count <= JobRequestLimits.labels,
            request.labels.allSatisfy({ key, value in
                !key.isEmpty && key.utf8.count <= JobRequestLimits.nameBytes && isPrintable(key)
                    && value.utf8.count <= JobRequestLimits.nameBytes && isPrintable(value)
            })
        else { throw refuse("labels must be at most \(JobRequestLimits.labels), of printable text") }
        if let timeout = request.timeout, timeout < 0 { throw refuse("timeout cannot be negative") }
        for (name, _) in request.secretEnvironment where request.environment[name] != nil {
            throw refuse("environment variable '\(name)' is given both openly and as a secret")
        }
    }

    private static func check(network: String, configuration: EngineConfiguration) throws(EngineError) {
        switch network {
        case "none": return
        case "host":
            guard configuration.allowsHostNetwork else {
                throw EngineError(.failedPrecondition, "network host is not allowed on this node")
            }
        default:
            throw EngineError(.unimplemented, "network '\(network.prefix(64))' is not available: none and host are")
        }
    }

    private static func directory(_ asked: String, _ workspace: String) throws(EngineError) -> String {
        guard !asked.isEmpty else { return workspace }
        // Bytes, as the kernel sees them: a slash before a combining mark is no slash among characters.
        let slash = UInt8(ascii: "/")
        guard !asked.utf8.contains(0), asked.utf8.count < 4096,
            !asked.utf8.split(separator: slash).contains(where: { $0.elementsEqual("..".utf8) })
        else { throw EngineError(.invalidArgument, "invalid request: workDir must be a path without '..'") }
        return asked.utf8.first == slash ? asked : "\(workspace)/\(asked)"
    }

    private static func isVariableName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= JobRequestLimits.nameBytes else { return false }
        func isLetter(_ byte: UInt8) -> Bool {
            byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z") || byte == UInt8(ascii: "_")
        }
        return isLetter(first)
            && name.utf8.allSatisfy { isLetter($0) || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) }
    }

    /// No control characters: names and labels are shown in terminals.
    private static func isPrintable(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && !(0x80..<0xa0).contains($0.value) }
    }
}
