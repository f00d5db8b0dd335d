import ArgumentParser
import JobletAPI

/// `rnx job stop`.
struct StopCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End a running job: SIGTERM, then SIGKILL.")

    @OptionGroup var job: JobArgument
    @OptionGroup var connection: ConnectionOptions

    func run(_ server: Connection) async throws {
        var request = Joblet_StopJobReq()
        request.uuid = job.uuid
        let reply = try await server.jobs.stopJob(request, options: Connection.answering(within: 60))
        try show(reply.json, reply.text(Palette(.process)))
    }
}

/// `rnx job cancel`.
struct CancelCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancel a job that is scheduled and has not started.")

    @OptionGroup var job: JobArgument
    @OptionGroup var connection: ConnectionOptions

    func run(_ server: Connection) async throws {
        var request = Joblet_CancelJobReq()
        request.uuid = job.uuid
        let reply = try await server.jobs.cancelJob(request, options: Connection.answering(within: 10))
        try show(reply.json, reply.text(Palette(.process)))
    }
}
