import ArgumentParser
import Server

/// `state`: a storage worker, which the daemon starts where `storage.mode` is `workers`, and the commands on what it
/// keeps.
@main
struct State: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Keeps the job records for the daemon.",
        version: "state \(BuildInformation.version)",
        subcommands: [ServeCommand.self, StorageCommand.self],
        defaultSubcommand: ServeCommand.self)
}

/// The commands on the store that the configuration names.
struct StorageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage",
        abstract: "Looks after stored job records; all but backup while neither the daemon nor a worker uses them.",
        subcommands: [
            StatsCommand.self, VerifyCommand.self, CopyCommand.self, BackupCommand.self, PruneCommand.self,
            RepairCommand.self,
        ])
}
