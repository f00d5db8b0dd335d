import ArgumentParser
import Foundation
import Server
import Storage
import StorageCommands

/// `state storage stats`.
struct StatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stats", abstract: "Tells what is stored.")

    @OptionGroup var options: StoreOptions

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "List the jobs whose records are largest, so many.")
    var top: UInt16 = 0

    func run() async throws {
        try await RecordStore.with(options) { store in
            var summary = StoreSummary(
                "state", backend: store.configuration.storage.state.backend.rawValue, nothing: .init(bytes: 0),
                top: Int(top))
            let encoder = JSONEncoder()
            var cursor: JobCursor?
            repeat {
                let page = try await store.jobs.list(JobQuery(), after: cursor, limit: 500)
                for record in page.records {
                    summary.add(
                        .init(
                            job: record.id, bytes: UInt64(try encoder.encode(record).count), oldest: record.createdAt))
                }
                cursor = page.next
            } while cursor != nil
            if store.configuration.storage.state.backend == .sqlite {
                summary.setStoredBytes(try size(of: store.configuration.stateDatabase))
            }
            try StoreSummary.print([summary], json: json)
        }
    }

    /// Bytes of a database and its journal.
    private func size(of database: String) throws -> UInt64 {
        try [database, "\(database)-wal"].filter { FileManager.default.fileExists(atPath: $0) }.reduce(0) { sum, path in
            sum + (try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64 ?? 0)
        }
    }
}
