import ArgumentParser
import LocalStores
import Server
import StorageCommands

/// `persist storage backup`.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copies the SQLite databases of output and samples as they stand, also while they are used.",
        discussion: """
            The directory gets logs/ and metrics/, as a data directory has them. Other backends are copied with copy.
            """)

    @OptionGroup var options: StoreOptions

    @Argument(help: "The directory for the copies.")
    var directory: String

    func run() async throws {
        let copied = try await LocalStores(try options.load()).backUpOutput(to: directory)
        try Outcome.tell(copied, orElse: "neither storage.logs.backend nor storage.metrics.backend is sqlite")
    }
}
