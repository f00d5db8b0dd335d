import ArgumentParser
import LocalStores
import Server
import StorageCommands

/// `state storage repair`.
struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Saves what can be read of a damaged database into a new one.",
        discussion: "The old one stays beside it as ….damaged.")

    @OptionGroup var options: StoreOptions

    func run() async throws {
        let configuration = try options.load()
        let claim = try await StoreClaim.take(configuration.dataDirectory, sockets: [configuration.stateSocket])
        defer { claim.release() }
        switch try await LocalStores(configuration).recoverJobs() {
        case .none: print("state: the backend \(configuration.storage.state.backend.rawValue) has nothing to mend")
        case .sound: print("state: the database is sound")
        case .recovered(let entries):
            print("state: the database was damaged; a new one has \(Show.count(entries, "record")) of it")
        }
    }
}
