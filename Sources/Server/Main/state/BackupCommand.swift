import ArgumentParser
import LocalStores
import Server
import StorageCommands

/// `state storage backup`.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copies the SQLite databases of job records as they stand, also while they are used.",
        discussion: """
            The directory gets state/, as a data directory has them. Other backends are copied with copy.
            """)

    @OptionGroup var options: StoreOptions

    @Argument(help: "The directory for the copies.")
    var directory: String

    func run() async throws {
        let copied = try await LocalStores(try options.load()).backUpRecords(to: directory)
        try Outcome.tell(copied, orElse: "storage.state.backend is not sqlite")
    }
}
