import ArgumentParser
import GRPCCore
import JobletAPI

/// `rnx job delete`.
struct DeleteCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove an ended job with its logs and metrics.")

    @OptionGroup var job: JobArgument
    @OptionGroup var connection: ConnectionOptions

    func run(_ server: Connection) async throws {
        var request = Joblet_DeleteJobReq()
        request.uuid = job.uuid
        let reply = try await server.jobs.deleteJob(request, options: Connection.answering(within: 15))
        guard reply.success else { throw Failure(.server(.unknown), "job deletion failed: \(reply.message)") }
        try show(reply.json, reply.text)
    }
}

/// `rnx job delete-all`.
struct DeleteAllCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete-all", abstract: "Remove every job that neither runs nor is scheduled.")

    @OptionGroup var connection: ConnectionOptions

    func run(_ server: Connection) async throws {
        let reply = try await server.jobs.deleteAllJobs(
            Joblet_DeleteAllJobsReq(), options: Connection.answering(within: 30))
        guard reply.success else { throw Failure(.server(.unknown), "job deletion failed: \(reply.message)") }
        try show(reply.json, reply.text)
    }
}
