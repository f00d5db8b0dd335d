import ArgumentParser
import Storage
import StorageCommands

/// `persist storage verify`.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Reads everything and checks it; ends with 1 where something is damaged.")

    @OptionGroup var options: StoreOptions

    func run() async throws {
        try await OutputStores.with(options) { stores in
            var isSound = try await Integrity.isSound(stores.logs, "logs")
            isSound = try await Integrity.isSound(stores.metrics, "metrics") && isSound
            let logs = try await LogVerification(of: stores.logs).run { found in
                for problem in found.problems { print("logs of \(found.job): \(problem)") }
            }
            let metrics = try await MetricVerification(of: stores.metrics).run { found in
                for problem in found.problems { print("metrics of \(found.job): \(problem)") }
            }
            print(
                "logs: \(Show.count(logs.jobs, "job")), \(Show.bytes(logs.bytes)), \(Show.count(logs.lines, "line")), "
                    + "\(logs.damagedJobs) damaged")
            print(
                "metrics: \(Show.count(metrics.jobs, "job")), \(Show.count(metrics.samples, "sample")), "
                    + "\(metrics.damagedJobs) damaged")
            guard isSound, logs.damagedJobs == 0, metrics.damagedJobs == 0 else { throw ExitCode(1) }
        }
    }
}
