import ArgumentParser
import Server

/// `persist`: a storage worker, which the daemon starts where `storage.mode` is `workers`, and the commands on what
/// it keeps.
@main
struct Persist: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "persist",
        abstract: "Keeps the jobs' output and samples for the daemon, and answers queries for them.",
        version: "persist \(BuildInformation.version)",
        subcommands: [ServeCommand.self, StorageCommand.self],
        defaultSubcommand: ServeCommand.self)
}

/// The commands on the stores that the configuration names.
struct StorageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage",
        abstract:
            "Looks after stored output and samples; all but backup while neither the daemon nor a worker uses them.",
        subcommands: [
            StatsCommand.self, VerifyCommand.self, CopyCommand.self, BackupCommand.self, PruneCommand.self,
            RepairCommand.self,
            ImportCommand.self,
        ])
}
