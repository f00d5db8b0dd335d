import ArgumentParser
import Logging
import Server
import StorageCommands

/// `state` or `state serve`: the worker.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves the daemon until SIGTERM or SIGINT.")

    @OptionGroup var options: StoreOptions

    @Option(help: "The process with which this one ends.")
    var parent: Int32?

    func run() async throws {
        let configuration = try options.loadForWorker("state")
        try await WorkerProgram.state(configuration, logger: Logger(label: "state")).run(parent: parent) {
            WorkerStores(jobs: try await StoreFactory(configuration).jobs())
        }
    }
}
