import ArgumentParser
import Storage
import StorageCommands

/// `state storage verify`.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Reads everything and checks it; ends with 1 where something is damaged.")

    @OptionGroup var options: StoreOptions

    func run() async throws {
        try await RecordStore.with(options) { store in
            let isSound = try await Integrity.isSound(store.jobs, "state")
            let report = try await JobRecordVerification(of: store.jobs).run()
            for problem in report.problems { print("state: \(problem)") }
            print("state: \(Show.count(report.records, "record")), \(Show.count(report.problems.count, "problem"))")
            guard isSound, report.problems.isEmpty else { throw ExitCode(1) }
        }
    }
}
