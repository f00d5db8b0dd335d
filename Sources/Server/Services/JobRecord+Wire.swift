import JobletAPI
import Storage

extension JobRecord {
    private static let mask = "***"

    private var maskedSecrets: [String: String] {
        specification.secretEnvironment.mapValues { _ in JobRecord.mask }
    }

    private var memoryMegabytes: Int32 { Int32(clamping: specification.limits.memoryBytes >> 20) }

    private var timeoutText: String {
        specification.timeout.map { "\(Double($0) / 1e9)".replacingSuffix(".0", with: "") + "s" } ?? ""
    }

    /// The record as ListJobs gives it; secrets read `***`.
    var listMessage: Joblet_Job {
        var message = Joblet_Job()
        message.uuid = "\(id)"
        message.name = specification.name
        message.command = specification.command
        message.args = specification.arguments
        message.maxCpu = specification.limits.cpuPercent
        message.maxMemory = memoryMegabytes
        message.status = status.rawValue
        message.startTime = TimeText.text(startedAt ?? createdAt)
        message.endTime = TimeText.text(endedAt)
        message.exitCode = exitCode
        message.environment = specification.environment
        message.secretEnvironment = maskedSecrets
        message.nodeID = node.id
        message.timeout = timeoutText
        message.reason = reason
        message.signal = signal
        message.labels = specification.labels
        message.createdAtNs = createdAt
        message.startedAtNs = startedAt ?? 0
        message.endedAtNs = endedAt ?? 0
        message.pid = status == .running ? pid : 0
        message.network = specification.network
        return message
    }

    /// The record as GetJobStatus gives it; secrets read `***`.
    var statusMessage: Joblet_GetJobStatusRes {
        var message = Joblet_GetJobStatusRes()
        message.uuid = "\(id)"
        message.name = specification.name
        message.command = specification.command
        message.args = specification.arguments
        message.maxCpu = specification.limits.cpuPercent
        message.maxMemory = memoryMegabytes
        message.status = status.rawValue
        message.startTime = TimeText.text(startedAt ?? createdAt)
        message.endTime = TimeText.text(endedAt)
        message.exitCode = exitCode
        message.environment = specification.environment
        message.secretEnvironment = maskedSecrets
        message.network = specification.network
        message.workDir = specification.workDirectory
        message.uploads = specification.uploads
        message.nodeID = node.id
        message.timeout = timeoutText
        message.reason = reason
        message.signal = signal
        message.labels = specification.labels
        message.createdAtNs = createdAt
        message.startedAtNs = startedAt ?? 0
        message.endedAtNs = endedAt ?? 0
        message.pid = status == .running ? pid : 0
        message.init_p = specification.usesInit
        message.durability = specification.durability.rawValue
        message.keepWork = specification.keepsWork
        return message
    }

    /// The record as RunJob gives it.
    var startMessage: Joblet_RunJobResponse {
        var message = Joblet_RunJobResponse()
        message.jobUuid = "\(id)"
        message.status = status.rawValue
        message.command = specification.command
        message.args = specification.arguments
        message.maxCpu = specification.limits.cpuPercent
        message.maxMemory = memoryMegabytes
        message.startTime = TimeText.text(startedAt ?? createdAt)
        message.endTime = TimeText.text(endedAt)
        message.exitCode = exitCode
        message.network = specification.network
        message.nodeID = node.id
        return message
    }
}

extension String {
    func replacingSuffix(_ suffix: String, with replacement: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) + replacement : self
    }
}
