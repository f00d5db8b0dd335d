import ArgumentParser
import JobletAPI

/// What a job may use.
struct RunLimits: ParsableArguments {
    @Option(name: [.customLong("max-cpu"), .customLong("cpu")], parsing: .unconditional, help: "Percent of one core.")
    var maxCPU: Int32?

    @Option(
        name: [.customLong("max-memory"), .customLong("memory")], parsing: .unconditional, help: "Memory in MB.")
    var maxMemory: Int32?

    @Option(parsing: .unconditional, help: "Bytes per second of disk traffic.")
    var maxIobps: Int32?

    @Option(parsing: .unconditional, help: "Cores to run on, 0-3 or 1,3,5.")
    var cpuCores: String?

    @Option(parsing: .unconditional, help: "Number of GPUs.")
    var gpu: Int32?

    @Option(parsing: .unconditional, help: "Memory each GPU must have: 8GB, 1024MB, or MB.")
    var gpuMemory: String?

    @Option(parsing: .unconditional, help: "End the job after this time, 90s or 1h30m.")
    var timeout: String?

    func apply(to request: inout Joblet_RunJobRequest) throws(Failure) {
        request.maxCpu = maxCPU ?? 0
        request.maxMemory = maxMemory ?? 0
        request.maxIobps = maxIobps ?? 0
        request.cpuCores = cpuCores ?? ""
        request.gpuCount = gpu ?? 0
        if let gpuMemory { request.gpuMemoryMb = try Self.megabytes(gpuMemory) }
        if let timeout {
            guard let time = GoDuration.nanoseconds(timeout), time > 0 else {
                throw Failure(.usage, "invalid timeout '\(timeout)': expected a duration such as 90s or 1h30m")
            }
            request.timeout = timeout
        }
    }

    private static func megabytes(_ text: String) throws(Failure) -> Int32 {
        let upper = text.uppercased()
        let unit = ["GB", "MB"].first(where: upper.hasSuffix)
        let digits = upper.dropLast(unit?.count ?? 0)
        let (megabytes, overflow) = (Int32(digits) ?? 0).multipliedReportingOverflow(by: unit == "GB" ? 1024 : 1)
        guard megabytes > 0, !overflow else {
            throw Failure(
                .usage, "invalid GPU memory format: \(text) (expected formats: 8GB, 1024MB, or 2048)")
        }
        return megabytes
    }
}

/// What a job finds around it.
struct RunSandbox: ParsableArguments {
    @Option(parsing: .unconditional, help: "Name of the job.")
    var name: String?

    @Option(
        name: [.customLong("work-dir"), .customLong("workdir")], parsing: .unconditional,
        help: "Directory that the command starts in (default: /work).")
    var workDir: String?

    @Option(
        name: [.short, .customLong("env")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Environment variable; may be repeated.", valueName: "KEY=VALUE"))
    var env: [String] = []

    @Option(
        name: [.short, .customLong("secret-env")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Environment variable that is never shown; may be repeated.", valueName: "KEY=VALUE"))
    var secretEnv: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Label of the job; may be repeated.", valueName: "KEY=VALUE"))
    var label: [String] = []

    @Option(parsing: .unconditional, help: "Network: none, host, bridge, isolated, or a name.")
    var network: String?

    @Option(parsing: .unconditionalSingleValue, help: "Volume, mounted at /volumes/<name>; may be repeated.")
    var volume: [String] = []

    @Option(parsing: .unconditional, help: "Runtime to start in, such as python-3.11.")
    var runtime: String?

    @Option(parsing: .unconditional, help: "When to start: 30min, 2h30m, or a time.")
    var schedule: String?

    @Flag(name: .customLong("init"), help: "Run the command under an init that reaps its children.")
    var usesInit = false

    @Flag(help: "Keep the work directory until the job is deleted.")
    var keepWork = false

    @Option(parsing: .unconditional, help: "What output and state survive: process (default) or power.")
    var durability: String?

    @Option(parsing: .unconditional, help: "At a limit of stored output: block (default) or drop.")
    var outputPolicy: String?

    func apply(to request: inout Joblet_RunJobRequest, now: Int64) throws(Failure) {
        request.name = name ?? ""
        request.workDir = workDir ?? ""
        request.environment = try Self.dictionary(env, Assignment.variable)
        request.secretEnvironment = try Self.dictionary(secretEnv, Assignment.variable)
        request.labels = try Self.dictionary(label, Assignment.label)
        request.network = network ?? ""
        request.volumes = volume
        request.runtime = runtime ?? ""
        if let schedule { request.schedule = try Schedule.time(schedule, now: now) }
        request.init_p = usesInit
        request.keepWork = keepWork
        request.durability = durability ?? ""
        request.outputPolicy = outputPolicy ?? ""
    }

    /// What the user may not expect of the variables.
    var warnings: [String] {
        (env + secretEnv).compactMap { text in
            guard let variable = try? Assignment.variable(text), variable.isReserved else { return nil }
            return "environment variable \(variable.name) is reserved and may be overridden by the system"
        }
    }

    /// The last of two assignments to one name counts.
    private static func dictionary(
        _ texts: [String], _ read: (String) throws(Failure) -> Assignment
    ) throws(Failure) -> [String: String] {
        var values: [String: String] = [:]
        for text in texts {
            let assignment = try read(text)
            values[assignment.name] = assignment.value
        }
        return values
    }
}

/// Files that travel with the job.
struct RunUploads: ParsableArguments {
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("File that is placed in the work directory; may be repeated.", valueName: "file"))
    var upload: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Directory whose content is placed in the work directory; may be repeated.", valueName: "directory"))
    var uploadDir: [String] = []
}

/// What happens after the start.
struct RunFollowing: ParsableArguments {
    @Flag(help: "Wait for the end and exit with the job's code.")
    var wait = false

    @Flag(help: "Print the job's output until its end.")
    var follow = false
}
