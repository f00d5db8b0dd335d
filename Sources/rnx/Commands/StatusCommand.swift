import ArgumentParser
import JobletAPI

/// `rnx job status`.
struct StatusCommand: ServerCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Show one job in full.")

    @OptionGroup var job: JobArgument
    @OptionGroup var connection: ConnectionOptions

    func run(_ server: Connection) async throws {
        let job = try await server.status(of: job.uuid)
        try show(job.json, JobDetails(job, Palette(.process)).text)
    }
}

extension Connection {
    /// One job as the server knows it now.
    func status(of uuid: String) async throws -> Joblet_GetJobStatusRes {
        var request = Joblet_GetJobStatusReq()
        request.uuid = uuid
        return try await jobs.getJobStatus(request, options: Self.answering(within: 10))
    }
}
