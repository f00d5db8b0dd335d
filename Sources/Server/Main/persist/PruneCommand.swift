import ArgumentParser
import Backends
import Server
import Storage
import StorageCommands

/// `persist storage prune`.
struct PruneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Drops what is not to be kept of ended jobs: by the configured retention, or by limits given here.",
        discussion: """
            One limit given here takes the place of all configured ones, for logs and metrics alike. Jobs that run, or \
            whose output is not all stored, are never touched. With the action archive, what goes is copied before.
            """)

    @OptionGroup var options: StoreOptions

    @Option(help: "Drop jobs whose latest entry is older, such as 720h.")
    var maxAge: AgeArgument?

    @Option(help: "Bytes that all jobs may take, such as 10GiB; the oldest go first.")
    var maxBytes: SizeArgument?

    @Option(help: "Bytes that one job may take; its oldest part goes.")
    var maxJobBytes: SizeArgument?

    @Flag(help: "Tell what would go, and change nothing.")
    var dryRun = false

    func run() async throws {
        try await OutputStores.with(options) { stores in
            let storage = stores.configuration.storage
            let live = try await LiveJobs.all(stores.configuration)
            var isWhole = try await prune(
                stores.logs, "logs", storage.logs.retention, live,
                archive: try archive(of: stores.logs, storage.logs.retention, storage.durability))
            isWhole =
                try await prune(
                    stores.metrics, "metrics", storage.metrics.retention, live,
                    archive: try archive(of: stores.metrics, storage.metrics.retention, storage.durability)) && isWhole
            if !isWhole { throw ExitCode(1) }
        }
    }

    private func prune(
        _ store: any PrunableStore, _ what: String, _ retention: Server.Configuration.Retention, _ live: Set<JobID>,
        archive: RetentionRun.Archive?
    ) async throws -> Bool {
        let run = RetentionRun(of: policy(retention), on: store, archive: archive, isDryRun: dryRun)
        let report = try await run.run(now: Tombstones.now(), live: { live })
        let deleted = report.deletedJobs.sorted { $0.key.rawValue < $1.key.rawValue }
        let causes = deleted.map { "\($0.value) by \($0.key.words)" }.joined(separator: ", ")
        print(
            "\(what): \(Show.count(report.examinedJobs, "job")) of \(Show.bytes(report.examinedBytes)), "
                + "\(dryRun ? "would delete" : "deleted") \(deleted.reduce(0) { $0 + $1.value })"
                + (causes.isEmpty ? "" : " (\(causes))")
                + ", \(dryRun ? "would trim" : "trimmed") \(report.trimmedJobs), "
                + "\(dryRun ? "would free" : "freed") \(Show.bytes(report.freedBytes))")
        return Outcome.tell(report.failures, of: what)
    }

    private func policy(_ retention: Server.Configuration.Retention) -> RetentionPolicy {
        if maxAge != nil || maxBytes != nil || maxJobBytes != nil {
            return RetentionPolicy(
                maximumAge: maxAge?.nanoseconds, maximumTotalBytes: maxBytes?.bytes,
                maximumJobBytes: maxJobBytes?.bytes)
        }
        return RetentionPolicy(
            maximumAge: retention.maxAge == .zero ? nil : retention.maxAge.wholeNanoseconds,
            maximumTotalBytes: retention.maxBytes == 0 ? nil : UInt64(retention.maxBytes),
            maximumJobBytes: retention.maxJobBytes == 0 ? nil : UInt64(retention.maxJobBytes))
    }

    private func archive(
        of store: any LogStore, _ retention: Server.Configuration.Retention, _ durability: Durability
    ) throws -> RetentionRun.Archive? {
        guard !dryRun, retention.action == .archive, let directory = retention.archiveDirectory else { return nil }
        let copy = LogCopy(from: store, to: try LocalGzipLogStore(directory: directory, durability: durability))
        return { job throws(StorageError) in try await copy.copy(job) }
    }

    private func archive(
        of store: any MetricStore, _ retention: Server.Configuration.Retention, _ durability: Durability
    ) throws -> RetentionRun.Archive? {
        guard !dryRun, retention.action == .archive, let directory = retention.archiveDirectory else { return nil }
        let copy = MetricCopy(from: store, to: try LocalGzipMetricStore(directory: directory, durability: durability))
        return { job throws(StorageError) in try await copy.copy(job) }
    }
}

extension RetentionStep.Cause {
    fileprivate var words: String {
        switch self {
        case .age: "age"
        case .totalBytes: "the size of all"
        case .jobBytes: "the size of one"
        }
    }
}
