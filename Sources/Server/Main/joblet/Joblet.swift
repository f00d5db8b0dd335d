import ArgumentParser
import Server

/// The daemon's program.
@main
struct Joblet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "joblet",
        abstract: "Runs jobs in native Linux micro-containers.",
        version: "joblet \(BuildInformation.version)",
        subcommands: [ServeCommand.self, CheckCommand.self, ConfigCommand.self, CertsCommand.self],
        defaultSubcommand: ServeCommand.self)
}

/// Where the configuration is and what goes before it.
struct ConfigurationOptions: ParsableArguments {
    @Option(help: "The configuration file.")
    var config: String?

    @Option(help: "The data directory, instead of dataDir of the file.")
    var dataDir: String?

    @Option(help: "HOST:PORT to listen on, instead of server.address and server.port; port 0 takes a free one.")
    var listen: String?
}
