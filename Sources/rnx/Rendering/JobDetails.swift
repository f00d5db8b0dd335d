import JobletAPI

/// The answer of `job status`: what everyone asks for first, then everything else in sections.
struct JobDetails {
    private let job: Joblet_GetJobStatusRes
    private let palette: Palette
    /// Unix nanoseconds.
    private let now: Int64

    init(_ job: Joblet_GetJobStatusRes, _ palette: Palette, now: Int64 = PointInTime.now) {
        self.job = job
        self.palette = palette
        self.now = now
    }

    var text: String {
        var lines = summary
        lines += identity
        for section in sections where !section.lines.isEmpty {
            lines += ["", section.title + ":"] + section.lines.map { "  " + $0 }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var summary: [String] {
        [
            "Id: \(job.uuid)",
            "Command: \(commandLine(job.command, job.args).printable)",
            "Status: \(palette.status(job.status))",
            "Started At: \(job.startTime)".withoutTrailingSpace,
            "Ended At: \(job.endTime)".withoutTrailingSpace,
            "MaxCPU: \(job.maxCpu)",
            "MaxMemory: \(job.maxMemory)",
            "MaxIOBPS: \(job.maxIobps)",
            "ExitCode: \(job.exitCode)",
        ]
    }

    private var identity: [String] {
        var lines: [String] = []
        lines.add("Job Name", job.name)
        lines.add("Node ID", job.nodeID)
        lines.add("Reason", job.reason)
        if job.signal != 0 { lines.append("Signal: \(job.signal)") }
        if job.pid != 0 { lines.append("PID: \(job.pid)") }
        return lines
    }

    private var sections: [(title: String, lines: [String])] {
        [
            ("Scheduling Information", scheduling),
            ("Timing", timing),
            ("Resource Limits", limits),
            ("Runtime Environment", ["Runtime": job.runtime].lines),
            ("Network Configuration", ["Network": job.network].lines),
            ("Volumes", job.volumes.map(\.printable)),
            ("Working Directory", workDirectory),
            ("Uploaded Files", job.uploads.map(\.printable)),
            ("Workflow Information", workflow),
            ("Labels", job.labels.assignments),
            ("Environment Variables", environment),
            ("Available Actions", actions),
        ]
    }

    private var scheduling: [String] {
        guard !job.scheduledTime.isEmpty else { return [] }
        var lines = ["Scheduled Time: \(job.scheduledTime.printable)"]
        if job.status == "SCHEDULED", let time = PointInTime.absolute(job.scheduledTime) {
            lines.append(
                time > now
                    ? "Time Until Execution: \(TimeText.duration(time - now))" : "Due now (waiting for execution)")
        }
        return lines
    }

    private var timing: [String] {
        let started = job.startedAtNs > 0 ? job.startedAtNs : PointInTime.absolute(job.startTime)
        let ended = job.endedAtNs > 0 ? job.endedAtNs : PointInTime.absolute(job.endTime)
        var lines: [String] = []
        if job.createdAtNs > 0 { lines.append("Created: \(TimeText.local(job.createdAtNs))") }
        if let started { lines.append("Started: \(TimeText.local(started))") }
        if let ended { lines.append("Ended: \(TimeText.local(ended))") }
        if let started, let ended { lines.append("Duration: \(TimeText.duration(ended - started))") }
        if let started, ended == nil, job.isActive {
            lines.append("Running For: \(TimeText.duration(now - started))")
        }
        return lines
    }

    private var limits: [String] {
        var lines: [String] = []
        if job.maxCpu > 0 { lines.append("Max CPU: \(job.maxCpu)%") }
        if job.maxMemory > 0 { lines.append("Max Memory: \(job.maxMemory) MB") }
        if job.maxIobps > 0 { lines.append("Max IO BPS: \(job.maxIobps)") }
        lines.add("CPU Cores", job.cpuCores)
        lines.add("Timeout", job.timeout)
        if !job.gpuIndices.isEmpty {
            let indices = job.gpuIndices.map(String.init).joined(separator: ", ")
            lines.append("GPUs: \(job.gpuIndices.count) allocated (indices: \(indices))")
        } else if job.gpuCount > 0 {
            lines.append("GPUs: \(job.gpuCount) requested")
        }
        if job.gpuMemoryMb > 0 { lines.append("GPU Memory: \(job.gpuMemoryMb) MB") }
        return lines
    }

    private var workDirectory: [String] {
        var lines = ["Work Dir": job.workDir].lines
        if job.keepWork { lines.append("Kept until the job is deleted") }
        return lines
    }

    private var workflow: [String] {
        guard !job.workflowUuid.isEmpty else { return [] }
        return ["Workflow UUID: \(job.workflowUuid)"]
            + ["Dependencies": job.dependencies.joined(separator: ", ")].lines
    }

    private var environment: [String] {
        job.environment.assignments + job.secretEnvironment.keys.sorted().map { "\($0.printable)=*** (secret)" }
    }

    private var actions: [String] {
        if job.status == "SCHEDULED" { return ["• rnx job cancel \(job.uuid)"] }
        let last = job.isActive ? "• rnx job stop \(job.uuid)" : "• rnx job delete \(job.uuid)"
        return ["• rnx job log \(job.uuid)", last]
    }
}

extension Joblet_GetJobStatusRes {
    /// Whether the job has not come to its end.
    var isActive: Bool { !["COMPLETED", "FAILED", "STOPPED", "CANCELED"].contains(status) }

    var json: JSON {
        var object = JSONObject()
        object.set("uuid", .string(uuid))
        object.set("name", .string(name))
        object.set("nodeId", .string(nodeID))
        object.set("command", .string(command))
        object.set("args", .strings(args))
        object.setIfAny("maxCPU", maxCpu)
        object.setIfAny("maxMemory", maxMemory)
        object.setIfAny("maxIOBPS", maxIobps)
        object.setIfAny("cpuCores", cpuCores)
        object.set("status", .string(status))
        object.set("startTime", .string(startTime))
        object.set("endTime", .string(endTime))
        object.set("exitCode", .integer(exitCode))
        object.set("scheduledTime", .string(scheduledTime))
        object.set("environment", .map(environment))
        object.set("secretEnvironment", .map(secretEnvironment))
        object.set("network", .string(network))
        object.set("volumes", .strings(volumes))
        object.set("runtime", .string(runtime))
        object.set("workDir", .string(workDir))
        object.set("uploads", .strings(uploads))
        object.set("dependencies", .strings(dependencies))
        object.set("workflowUuid", .string(workflowUuid))
        object.setIfAny("gpuCount", gpuCount)
        if !gpuIndices.isEmpty { object.set("gpuIndices", .array(gpuIndices.map { .integer($0) })) }
        object.setIfAny("gpuMemoryMB", gpuMemoryMb)
        object.setIfAny("timeout", timeout)
        object.setIfAny("reason", reason)
        object.setIfAny("signal", signal)
        if !labels.isEmpty { object.set("labels", .map(labels)) }
        object.setIfAny("pid", pid)
        object.setIfAny("durability", durability)
        if init_p { object.set("init", .bool(true)) }
        if keepWork { object.set("keepWork", .bool(true)) }
        return object.json
    }
}

extension [String] {
    /// Adds `name: value` for a value that is not empty.
    fileprivate mutating func add(_ name: String, _ value: String) {
        if !value.isEmpty { append("\(name): \(value.printable)") }
    }
}

extension [String: String] {
    /// `name: value` of the values that are not empty.
    fileprivate var lines: [String] {
        sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }.map { "\($0.key): \($0.value.printable)" }
    }

    /// `NAME=value`, sorted by name.
    fileprivate var assignments: [String] {
        sorted { $0.key < $1.key }.map { "\($0.key.printable)=\($0.value.printable)" }
    }
}

extension String {
    fileprivate var withoutTrailingSpace: String { hasSuffix(" ") ? String(dropLast()) : self }
}
