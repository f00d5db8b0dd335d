import ArgumentParser
import Server
import Storage
import StorageCommands

/// `persist storage stats`.
struct StatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stats", abstract: "Tells what is stored.")

    @OptionGroup var options: StoreOptions

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "List the jobs that take most, so many.")
    var top: UInt16 = 0

    func run() async throws {
        try await OutputStores.with(options) { stores in
            try StoreSummary.print([try await logs(stores), try await metrics(stores)], json: json)
        }
    }

    private func logs(_ stores: OutputStores) async throws -> StoreSummary {
        var summary = StoreSummary(
            "logs", backend: stores.configuration.storage.logs.backend.rawValue,
            nothing: .init(bytes: 0, lines: 0, storedBytes: 0), top: Int(top))
        var last: JobID?
        while true {
            let jobs = try await stores.logs.jobs(after: last, limit: 256)
            guard let end = jobs.last else { return summary }
            last = end
            for job in jobs {
                do throws(StorageError) {
                    let found = try await stores.logs.statistics(of: job)
                    summary.add(
                        .init(
                            job: job, bytes: found.bytes, lines: found.lines, storedBytes: found.storedBytes,
                            oldest: found.times?.lowerBound))
                } catch {
                    switch error {
                    case .corrupt: summary.addDamaged(job)
                    // Deleted meanwhile.
                    case .notFound: break
                    default: throw error
                    }
                }
            }
        }
    }

    private func metrics(_ stores: OutputStores) async throws -> StoreSummary {
        var summary = StoreSummary(
            "metrics", backend: stores.configuration.storage.metrics.backend.rawValue,
            nothing: .init(samples: 0, storedBytes: 0), top: Int(top))
        var last: JobID?
        while true {
            let jobs = try await stores.metrics.jobs(after: last, limit: 256)
            guard let end = jobs.last else { return summary }
            last = end
            for job in jobs {
                do throws(StorageError) {
                    let found = try await stores.metrics.statistics(of: job)
                    summary.add(
                        .init(
                            job: job, samples: found.samples, storedBytes: found.storedBytes,
                            oldest: found.times?.lowerBound))
                } catch {
                    switch error {
                    case .corrupt: summary.addDamaged(job)
                    // Deleted meanwhile.
                    case .notFound: break
                    default: throw error
                    }
                }
            }
        }
    }
}
