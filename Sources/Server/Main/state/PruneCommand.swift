import ArgumentParser
import Server
import Storage
import StorageCommands

/// `state storage prune`.
struct PruneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Drops records of jobs that ended long ago: by the configured retention, or by an age given here.",
        discussion: "Jobs that have not ended, and those that still have output or samples, are never touched.")

    @OptionGroup var options: StoreOptions

    @Option(help: "Drop records of jobs that ended longer ago, such as 720h.")
    var maxAge: AgeArgument?

    @Flag(help: "Tell what would go, and change nothing.")
    var dryRun = false

    func run() async throws {
        try await RecordStore.with(options, claiming: [\.persistSocket]) { store in
            let configured = store.configuration.storage.state.maxAge
            guard let age = maxAge?.nanoseconds ?? (configured == .zero ? nil : configured.wholeNanoseconds) else {
                return print("state: every record is kept (storage.state.retention.maxAge is 0)")
            }
            // Several nodes may share a table, and each one looks after its own records.
            let node = store.configuration.storage.state.backend == .dynamodb ? try store.configuration.nodeID() : nil
            let waiting = try LiveJobs.inOutbox(store.configuration)
            let factory = StoreFactory(store.configuration)
            let (logs, metrics) = (try await factory.logs(), try await factory.metrics())
            let (time, isBeforeTime) = Tombstones.now().subtractingReportingOverflow(age)
            let retention = JobRecordRetention(
                on: store.jobs, logs: logs, metrics: metrics, node: node, isDryRun: dryRun)
            let report = try await retention.run(endedBefore: isBeforeTime ? .min : time) { waiting.contains($0) }
            print(
                "state: \(Show.count(report.examined, "record")) of ended jobs examined, "
                    + "\(dryRun ? "would delete" : "deleted") \(report.deleted)")
            guard Outcome.tell(report.failures, of: "state") else { throw ExitCode(1) }
        }
    }
}
