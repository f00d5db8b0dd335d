import ArgumentParser
import Storage
import StorageCommands

/// `state storage copy`.
struct CopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Copies every record to another store and compares what arrived; once interrupted, it goes on.",
        discussion: """
            A directory gets the store in state/. The region and endpoint of DynamoDB are those of \
            storage.state.dynamodb.
            """)

    @OptionGroup var options: StoreOptions

    @Option(help: "Where to: sqlite:DIRECTORY or dynamodb:TABLE.")
    var to: CopyTarget

    func run() async throws {
        try await RecordStore.with(options) { store in
            let target = try to.state(store.configuration)
            let claim = try await to.claim(target, besides: store.configuration)
            defer { claim?.release() }
            let line = ProgressLine("state", .entries("records"))
            defer { line.end() }
            let jobs = try await StoreFactory(target).jobs()
            let report = try await JobRecordCopy(from: store.jobs, to: jobs).run { line.update($0) }
            line.end()
            let copied = Show.count(report.copiedUnits, "record")
            guard Outcome.tell(report, of: "state", to: "\(to)", copied: copied) else { throw ExitCode(1) }
        }
    }
}
