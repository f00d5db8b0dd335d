import ArgumentParser

/// A command that talks to the server.
protocol ServerCommand: AsyncParsableCommand, Sendable {
    var connection: ConnectionOptions { get }

    /// Talks to the server and prints the answer.
    func run(_ server: Connection) async throws
}

extension ServerCommand {
    func run() async throws {
        let target = try Target(connection, .process)
        try await Connection.open(target) { server in try await run(server) }
    }

    /// Prints a value with `--json`, else the text.
    func show(_ json: @autoclosure () -> JSON, _ text: @autoclosure () -> String) throws {
        try StandardOutput.write(connection.json ? json().pretty + "\n" : text())
    }
}

/// The job that a command is about.
struct JobArgument: ParsableArguments {
    @Argument(help: "UUID of the job, or any prefix of it that is unique.")
    var uuid: String

    func validate() throws {
        guard !uuid.isEmpty else { throw ValidationError("the job UUID is empty") }
    }
}
