import ArgumentParser
import JobletAPI
import SwiftProtobuf

/// `rnx storage`.
struct StorageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage", abstract: "Look at what the node has stored.",
        subcommands: [StorageStatsCommand.self])
}

/// `rnx storage stats`.
struct StorageStatsCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Print what the stores hold, and which jobs take most.")

    @Option(parsing: .unconditional, help: "How many of the largest jobs to name.")
    var top: UInt32 = 10

    @OptionGroup var connection: ConnectionOptions

    func run(_ server: Connection) async throws {
        let request = Joblet_Ext_GetStorageStatsRequest.with { $0.top = top }
        let stats = try await server.storage.getStorageStats(request, options: Connection.answering(within: 120))
        try show(stats.json, stats.text)
    }
}
