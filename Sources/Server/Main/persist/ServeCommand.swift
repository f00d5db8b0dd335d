import ArgumentParser
import Logging
import Server
import StorageCommands

/// `persist` or `persist serve`: the worker.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves the daemon until SIGTERM or SIGINT.")

    @OptionGroup var options: StoreOptions

    @Option(help: "The process with which this one ends.")
    var parent: Int32?

    func run() async throws {
        let configuration = try options.loadForWorker("persist")
        try await WorkerProgram.persist(configuration, logger: Logger(label: "persist")).run(parent: parent) {
            let factory = StoreFactory(configuration)
            return WorkerStores(logs: try await factory.logs(), metrics: try await factory.metrics())
        }
    }
}
