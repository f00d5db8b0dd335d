import JobletAPI

/// The answer of `job run`.
struct StartedJob {
    private let reply: Joblet_RunJobResponse
    private let request: Joblet_RunJobRequest
    private let schedule: String
    private let uploads: Int

    /// Takes the schedule as the user typed it, empty for none, and the number of uploaded files and directories.
    init(_ reply: Joblet_RunJobResponse, request: Joblet_RunJobRequest, schedule: String = "", uploads: Int = 0) {
        self.reply = reply
        self.request = request
        self.schedule = schedule
        self.uploads = uploads
    }

    func text(_ palette: Palette) -> String {
        var lines = [
            schedule.isEmpty ? "Job started:" : "Job scheduled:",
            "ID: \(reply.jobUuid)",
            "Command: \(commandLine(command, arguments).printable)",
            "Status: \(palette.status(reply.status))",
        ]
        if schedule.isEmpty {
            lines.append("StartTime: \(reply.startTime)")
        } else {
            lines.append("Schedule Input: \(schedule.printable)")
            lines.append("Scheduled Time: \(scheduledTime)")
        }
        lines.append("MaxCPU: \(reply.maxCpu)")
        lines.append("MaxMemory: \(reply.maxMemory)")
        if !network.isEmpty { lines.append("Network: \(Self.described(network))") }
        if uploads > 0 { lines.append("Files: \(uploads) uploaded successfully") }
        if !request.environment.isEmpty { lines.append("Environment: \(request.environment.count) variables set") }
        if !request.secretEnvironment.isEmpty {
            lines.append("Secret Environment: \(request.secretEnvironment.count) variables set")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    var json: JSON { object.json }

    /// The start and the end in one object.
    func json(endedAs job: Joblet_GetJobStatusRes) -> JSON {
        var object = object(status: job.status)
        object.setIfAny("end_time", job.endTime)
        object.set("exit_code", .integer(job.exitCode))
        object.setIfAny("reason", job.reason)
        object.setIfAny("signal", job.signal)
        return object.json
    }

    private var object: JSONObject { object(status: reply.status) }

    private func object(status: String) -> JSONObject {
        var object = JSONObject()
        object.set("job_uuid", .string(reply.jobUuid))
        object.set("command", .string(command))
        object.set("args", .strings(arguments))
        object.set("status", .string(status))
        object.setIfAny("start_time", reply.startTime)
        object.setIfAny("schedule_input", schedule)
        object.setIfAny("scheduled_time", schedule.isEmpty ? "" : scheduledTime)
        object.setIfAny("files_uploaded", uploads)
        object.setIfAny("env_vars", request.environment.count)
        object.setIfAny("secret_env_vars", request.secretEnvironment.count)
        return object
    }

    // A server of the original answers with id and status alone.
    private var command: String { reply.command.isEmpty ? request.command : reply.command }
    private var arguments: [String] { reply.command.isEmpty ? request.args : reply.args }
    private var network: String { reply.network.isEmpty ? request.network : reply.network }
    private var scheduledTime: String { reply.scheduledTime.isEmpty ? request.schedule : reply.scheduledTime }

    private static func described(_ network: String) -> String {
        switch network {
        case "host": "host (shared with system)"
        case "none": "none (loopback only)"
        default: network.printable
        }
    }
}

extension Joblet_GetJobStatusRes {
    /// What `job run --wait` prints last.
    func endText(_ palette: Palette) -> String {
        var lines = ["Job ended:", "ID: \(uuid)", "Status: \(palette.status(status))", "ExitCode: \(exitCode)"]
        if !endTime.isEmpty { lines.append("EndTime: \(endTime)") }
        if !reason.isEmpty { lines.append("Reason: \(reason.printable)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The exit code of `job run --wait`: that of the job, 128 + n for signal n, 1 where the job has none.
    var processExitCode: Int32 {
        if (1...64).contains(signal) { return 128 + signal }
        if status == "COMPLETED" { return 0 }
        return (1...255).contains(exitCode) ? exitCode : 1
    }
}
