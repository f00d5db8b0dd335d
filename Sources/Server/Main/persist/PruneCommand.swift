import ArgumentParser
import LocalStores
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
            let configured = stores.configuration.storage
            let live = try await LiveJobs.all(stores.configuration)
            let archives = dryRun ? Archives() : try LocalStores(stores.configuration).archives()
            var isWhole = try await prune(
                stores.logs, "logs", policy(configured.logs.retention), live,
                archive: archive(of: stores.logs, in: archives.logs))
            isWhole =
                try await prune(
                    stores.metrics, "metrics", policy(configured.metrics.retention), live,
                    archive: archive(of: stores.metrics, in: archives.metrics)) && isWhole
            if !isWhole { throw ExitCode(1) }
        }
    }

    private func prune(
        _ store: any PrunableStore, _ what: String, _ policy: RetentionPolicy, _ live: Set<JobID>,
        archive: RetentionRun.Archive?
    ) async throws -> Bool {
        let run = RetentionRun(of: policy, on: store, archive: archive, isDryRun: dryRun)
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

    private func archive(of source: any LogStore, in target: (any LogStore)?) -> RetentionRun.Archive? {
        guard let target else { return nil }
        let copy = LogCopy(from: source, to: target)
        return { job throws(StorageError) in _ = try await copy.copy(job) }
    }

    private func archive(of source: any MetricStore, in target: (any MetricStore)?) -> RetentionRun.Archive? {
        guard let target else { return nil }
        let copy = MetricCopy(from: source, to: target)
        return { job throws(StorageError) in _ = try await copy.copy(job) }
    }

    private func policy(_ retention: Server.Configuration.Retention) -> RetentionPolicy {
        guard maxAge == nil, maxBytes == nil, maxJobBytes == nil else {
            return RetentionPolicy(
                maximumAge: maxAge?.nanoseconds, maximumTotalBytes: maxBytes?.bytes,
                maximumJobBytes: maxJobBytes?.bytes)
        }
        return RetentionPolicy(retention) ?? .unlimited
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
