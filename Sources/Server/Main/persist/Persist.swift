import ArgumentParser
import Foundation
import Glibc
import Logging
import Server

/// `persist`: a storage worker, which the daemon starts where `storage.mode` is `workers`.
@main
struct Persist: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "persist",
        abstract: "Keeps the jobs' output and samples for the daemon, and answers queries for them.",
        version: "persist \(BuildInformation.version)")

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
                level: configuration.logging.level, format: configuration.logging.format, component: "persist")
        }
        // A peer that hangs up is an error of that call, not the end of the program.
        signal(SIGPIPE, SIG_IGN)
        try await WorkerProgram.persist(configuration, logger: Logger(label: "persist")).run(parent: parent) {
            try StoreFactory.stores(configuration)
        }
    }
}
