import ArgumentParser
import Server
import Storage
import StorageCommands

/// `persist storage copy`.
struct CopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Copies everything to other stores and compares what arrived; once interrupted, it goes on.",
        discussion: """
            A directory gets the stores in logs/ and metrics/. In S3 both go to one bucket; region, endpoint and \
            encryption are those of storage.logs.s3 and storage.metrics.s3.
            """)

    @OptionGroup var options: StoreOptions

    @Option(help: "Where to: local-gzip:DIRECTORY, sqlite:DIRECTORY or s3:BUCKET/PREFIX.")
    var to: CopyTarget

    func run() async throws {
        try await OutputStores.with(options) { stores in
            let target = try to.output(stores.configuration)
            let claim = try await to.claim(target, besides: stores.configuration)
            defer { claim?.release() }
            let factory = StoreFactory(target)
            let areLogsWhole = try await copyLogs(stores.logs, to: factory.logs())
            let areMetricsWhole = try await copyMetrics(stores.metrics, to: factory.metrics())
            if !areLogsWhole || !areMetricsWhole { throw ExitCode(1) }
        }
    }

    private func copyLogs(_ source: any LogStore, to target: any LogStore) async throws -> Bool {
        let line = ProgressLine("logs", .bytes)
        defer { line.end() }
        let report = try await LogCopy(from: source, to: target).run { line.update($0) }
        line.end()
        return Outcome.tell(report, of: "logs", to: "\(to)", copied: Show.bytes(report.copiedUnits))
    }

    private func copyMetrics(_ source: any MetricStore, to target: any MetricStore) async throws -> Bool {
        let line = ProgressLine("metrics", .entries("samples"))
        defer { line.end() }
        let report = try await MetricCopy(from: source, to: target).run { line.update($0) }
        line.end()
        return Outcome.tell(report, of: "metrics", to: "\(to)", copied: Show.count(report.copiedUnits, "sample"))
    }
}
