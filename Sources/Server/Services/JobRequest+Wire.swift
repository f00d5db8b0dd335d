import Engine
import JobletAPI
import Storage

extension JobRequest {
    /// The request that a message stands for; throws `unimplemented` naming a field whose feature does not exist.
    init(_ message: Joblet_RunJobRequest) throws(EngineError) {
        try JobRequest.refuseUnavailable(message)
        self.init()
        name = message.name
        command = message.command
        arguments = message.args
        cpuPercent = message.maxCpu
        memoryMegabytes = message.maxMemory
        network = message.network
        workDirectory = message.workDir
        environment = message.environment
        secretEnvironment = message.secretEnvironment
        timeout = try JobRequest.timeout(message.timeout)
        usesInit = message.init_p
        keepsWork = message.keepWork
        durability = try JobRequest.choice(message.durability, "durability")
        outputPolicy = try JobRequest.choice(message.outputPolicy, "output_policy")
        labels = message.labels
    }

    private static func refuseUnavailable(_ message: Joblet_RunJobRequest) throws(EngineError) {
        guard message.maxIobps >= 0 else {
            throw EngineError(.invalidArgument, "invalid request: maxIOBPS cannot be negative")
        }
        let fields: [(isUsed: Bool, name: String, feature: String)] = [
            (!message.schedule.isEmpty, "schedule", "scheduled jobs"),
            (!message.volumes.isEmpty, "volumes", "volumes"),
            (!message.runtime.isEmpty, "runtime", "runtimes"),
            (message.gpuCount != 0, "gpu_count", "GPUs"),
            (message.gpuMemoryMb != 0, "gpu_memory_mb", "GPUs"),
            (!message.cpuCores.isEmpty, "cpuCores", "core bindings"),
            (message.maxIobps != 0, "maxIobps", "I/O limits"),
            (!message.workflowUuid.isEmpty, "workflowUuid", "workflows"),
            (!message.jobUuid.isEmpty, "jobUuid", "workflows"),
            (!message.requirements.isEmpty, "requirements", "workflows"),
        ]
        for field in fields where field.isUsed {
            throw EngineError(
                .unimplemented, "\(field.feature) are not available on this server (field \(field.name))")
        }
    }

    private static func timeout(_ text: String) throws(EngineError) -> Int64? {
        guard !text.isEmpty else { return nil }
        guard let duration = GoDuration.parse(text), duration > .zero else {
            throw EngineError(.invalidArgument, "invalid request: timeout must be a duration such as 90s or 1h30m")
        }
        return duration.nanoseconds
    }

    private static func choice<Value: RawRepresentable & CaseIterable>(
        _ text: String, _ field: String
    ) throws(EngineError) -> Value? where Value.RawValue == String {
        guard !text.isEmpty else { return nil }
        guard let value = Value(rawValue: text) else {
            let allowed = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw EngineError(.invalidArgument, "invalid request: \(field) must be one of \(allowed)")
        }
        return value
    }
}

extension Duration {
    /// The duration in nanoseconds, at most what 64 bits hold.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole + attoseconds / 1_000_000_000
    }
}
