import ArgumentParser
import GRPCCore
import JobletAPI

/// `rnx job run`.
struct RunCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Start a job.",
        usage: "rnx job run [<options>] [--] <command> [<args> ...]",
        discussion: """
            Options end at the first word that does not begin with '-', or at '--'; what follows belongs to the \
            command. Uploads are placed in the work directory before the command starts.
            """)

    @OptionGroup var limits: RunLimits
    @OptionGroup var sandbox: RunSandbox
    @OptionGroup var uploads: RunUploads
    @OptionGroup var following: RunFollowing
    @OptionGroup var workflow: WorkflowOption
    @OptionGroup var connection: ConnectionOptions

    @Argument(parsing: .postTerminator, help: .hidden)
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty || workflow.workflow != nil else {
            throw ValidationError("must specify a command to run")
        }
    }

    /// The request, without uploads.
    func request(now: Int64 = PointInTime.now) throws(Failure) -> Joblet_RunJobRequest {
        var request = Joblet_RunJobRequest()
        request.command = command[0]
        request.args = Array(command.dropFirst())
        try limits.apply(to: &request)
        try sandbox.apply(to: &request, now: now)
        return request
    }

    func run() async throws {
        try workflow.refuse()
        let request = try request()
        sandbox.warnings.forEach(StandardError.warn)
        // Files are looked at before a connection is made: a wrong path costs no round trip.
        let plan = try UploadPlan(files: uploads.upload, directories: uploads.uploadDir)
        let target = try Target(connection, .process)
        try await Connection.open(target) { server in try await run(request, plan, on: server) }
    }

    private func run(_ request: Joblet_RunJobRequest, _ plan: UploadPlan, on server: Connection) async throws {
        let reply = try await start(request, plan, on: server)
        let started = StartedJob(
            reply, request: request, schedule: sandbox.schedule ?? "", uploads: plan.entries.count)
        if following.wait || following.follow { Interrupt.endsFollowing(isWaiting: following.wait) }
        try announce(started)
        if following.follow {
            let sink = LogSink(connection.json ? .json : .raw)
            try await server.follow(LogQuery(job: reply.jobUuid), sink)
            try sink.finish()
        }
        guard following.wait else { return }
        let job = try await server.waitForEnd(of: reply.jobUuid)
        try announceEnd(started, job)
        throw ExitCode(job.processExitCode)
    }

    private func start(
        _ request: Joblet_RunJobRequest, _ plan: UploadPlan, on server: Connection
    ) async throws -> Joblet_RunJobResponse {
        guard !plan.entries.isEmpty else {
            return try await server.jobs.runJob(request, options: Connection.answering(within: 30))
        }
        let limits = try await server.node.getNodeInfo(
            Joblet_Ext_GetNodeInfoRequest(), options: Connection.answering(within: 10))
        try plan.check(maximumBytes: limits.maxUploadBytes)
        StandardError.write("Uploading \(plan.entries.count) files (\(SizeText.megabytes(plan.totalBytes)))...")
        return try await server.upload(plan, for: request, maximumMessageBytes: limits.maxMessageBytes)
    }

    /// With `--follow` standard output belongs to the job, so that a copy of it is exact.
    private func announce(_ job: StartedJob) throws {
        switch (connection.json, following.follow) {
        case (true, true): try StandardOutput.write(job.json.compact + "\n")
        case (true, false): if !following.wait { try StandardOutput.write(job.json.pretty + "\n") }
        case (false, true): StandardError.write(String(job.text(Palette.plain).dropLast()))
        case (false, false): try StandardOutput.write(job.text(Palette(.process)))
        }
    }

    private func announceEnd(_ started: StartedJob, _ job: Joblet_GetJobStatusRes) throws {
        switch (connection.json, following.follow) {
        case (true, true): try StandardOutput.write(started.json(endedAs: job).compact + "\n")
        case (true, false): try StandardOutput.write(started.json(endedAs: job).pretty + "\n")
        case (false, true): StandardError.write(String(job.endText(.plain).dropLast()))
        case (false, false): try StandardOutput.write(job.endText(Palette(.process)))
        }
    }
}
