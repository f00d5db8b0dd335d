import ArgumentParser
import Foundation
import Glibc
import Logging
import Server

/// `state`: a storage worker, which the daemon starts where `storage.mode` is `workers`.
@main
struct State: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Keeps the job records for the daemon.",
        version: "state \(BuildInformation.version)")

    @Option(help: "The configuration file, the daemon's own.")
    var config: String?

    @Option(help: "The data directory, instead of dataDir of the file.")
    var dataDir: String?

    @Option(help: "The process with which this one ends.")
    var parent: Int32?

    func run() async throws {
        let configuration: Server.Configuration
        do throws(Server.Configuration.LoadError) {
            configuration = try Server.Configuration.load(
                path: config, environment: ProcessInfo.processInfo.environment
            )
            .applying(.init(dataDirectory: dataDir)).configuration
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(1)
        }
        LoggingSystem.bootstrap { _ in
            LogLineHandler(
                level: configuration.logging.level, format: configuration.logging.format, component: "state")
        }
        // A peer that hangs up is an error of that call, not the end of the program.
        signal(SIGPIPE, SIG_IGN)
        try await WorkerProgram.state(configuration, logger: Logger(label: "state")).run(parent: parent) {
            try StoreFactory.stores(configuration)
        }
    }
}
