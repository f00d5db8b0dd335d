import ArgumentParser
import LocalStores
import Server
import Storage
import StorageCommands
import Synchronization

/// `persist storage repair`.
struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Mends what is damaged; what cannot be brought back is replaced by notes of what is lost.",
        discussion: "A database that SQLite finds damaged is made anew; the old one stays beside it as ….damaged.")

    @OptionGroup var options: StoreOptions

    func run() async throws {
        let configuration = try options.load()
        let claim = try await StoreClaim.take(configuration.dataDirectory, sockets: [configuration.persistSocket])
        defer { claim.release() }
        let local = LocalStores(configuration)
        tell(try await local.recoverLogs(), "logs", "block")
        tell(try await local.recoverMetrics(), "metrics", "sample")
        let stores = try await OutputStores.open(configuration)
        var isWhole = true
        if let logs = stores.logs as? any RepairableStore {
            isWhole = try await repair(logs)
        } else {
            print("logs: the backend \(configuration.storage.logs.backend.rawValue) has nothing to mend")
        }
        // Samples cannot be replaced by notes: what is damaged among them is told, and stays.
        let metrics = try await MetricVerification(of: stores.metrics).run { found in
            for problem in found.problems { StandardError.write("metrics of \(found.job): \(problem)") }
        }
        print("metrics: \(Show.count(metrics.jobs, "job")), \(metrics.damagedJobs) damaged")
        guard isWhole, metrics.damagedJobs == 0 else { throw ExitCode(1) }
    }

    private func repair(_ store: any RepairableStore) async throws -> Bool {
        let counts = Mutex((sound: 0, mended: 0, failed: 0))
        try await store.repair { repair in
            counts.withLock { counts in
                switch repair.outcome {
                case .sound: counts.sound += 1
                case .mended, .rebuilt: counts.mended += 1
                case .failed: counts.failed += 1
                }
            }
            if repair.outcome != .sound { print("logs of \(repair.job): \(repair.outcome)") }
        }
        let (sound, mended, failed) = counts.withLock { $0 }
        print("logs: \(Show.count(sound, "sound job")), \(mended) mended, \(failed) failed")
        return failed == 0
    }

    private func tell(_ recovery: LocalStores.Recovery, _ what: String, _ entry: String) {
        guard case .recovered(let entries) = recovery else { return }
        print("\(what): the database was damaged; a new one has \(Show.count(entries, entry)) of it")
    }
}
