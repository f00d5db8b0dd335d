import Engine
import Logging
import ServiceLifecycle
public import Storage

/// The stores to which retention copies what it drops.
public struct Archives: Sendable {
    /// For output; nil where it is dropped without a copy.
    public var logs: (any LogStore)?
    /// For samples; nil where they are dropped without a copy.
    public var metrics: (any MetricStore)?

    /// The given archives.
    public init(logs: (any LogStore)? = nil, metrics: (any MetricStore)? = nil) {
        self.logs = logs
        self.metrics = metrics
    }
}

/// Drops what the configuration says is kept no longer: once after the start, then at each `cleanupInterval`.
struct RetentionService: Service {
    /// When a run that failed is begun again at the latest.
    private static let retryInterval = Duration.seconds(60)

    let engine: JobEngine
    let storage: Configuration.Storage
    let archives: Archives
    let logger: Logger

    func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            if let policy = RetentionPolicy(storage.logs.retention) {
                repeated(in: &group, each: storage.logs.retention.cleanupInterval, "logs") { () throws(StorageError) in
                    report(try await engine.pruneLogs(policy, archive: archives.logs), "logs")
                }
            }
            if let policy = RetentionPolicy(storage.metrics.retention) {
                repeated(in: &group, each: storage.metrics.retention.cleanupInterval, "metrics") {
                    () throws(StorageError) in
                    report(try await engine.pruneMetrics(policy, archive: archives.metrics), "metrics")
                }
            }
            if storage.state.maxAge > .zero {
                repeated(in: &group, each: storage.state.cleanupInterval, "state") { () throws(StorageError) in
                    report(try await engine.pruneRecords(olderThan: storage.state.maxAge.nanoseconds))
                }
            }
            try? await gracefulShutdown()
            group.cancelAll()
        }
    }

    private func repeated(
        in group: inout TaskGroup<Void>, each interval: Duration, _ store: String,
        _ body: @escaping @Sendable () async throws(StorageError) -> Void
    ) {
        group.addTask {
            var last: StorageError?
            while !Task.isCancelled {
                var pause = interval
                do throws(StorageError) {
                    try await body()
                    last = nil
                } catch {
                    if error == .cancelled { return }
                    // Not a day later where the interval is a day.
                    pause = min(interval, RetentionService.retryInterval)
                    if error != last {
                        logger.warning("retention", metadata: ["store": "\(store)", "error": "\(error)"])
                    }
                    last = error
                }
                do { try await Task.sleep(for: pause, clock: .continuous) } catch { return }
            }
        }
    }

    private func report(_ report: JobRecordRetention.Report) {
        guard report.deleted + report.failures.count > 0 else { return }
        var metadata: Logger.Metadata = [
            "store": "state", "examined": "\(report.examined)", "deleted": "\(report.deleted)",
            "failed": "\(report.failures.count)",
        ]
        if let first = report.failures.first { metadata["error"] = "\(first.job): \(first.error)" }
        logger.info("retention", metadata: metadata)
    }

    private func report(_ report: RetentionReport, _ store: String) {
        let deleted = report.deletedJobs.values.reduce(0, +)
        guard deleted + report.trimmedJobs + report.failures.count > 0 else { return }
        var metadata: Logger.Metadata = [
            "store": "\(store)", "examined": "\(report.examinedJobs)", "deleted": "\(deleted)",
            "trimmed": "\(report.trimmedJobs)", "archived": "\(report.archivedJobs)",
            "freedBytes": "\(report.freedBytes)", "failed": "\(report.failures.count)",
        ]
        if let first = report.failures.first { metadata["error"] = "\(first.job): \(first.error)" }
        logger.info("retention", metadata: metadata)
    }
}

extension RetentionPolicy {
    /// The policy of the configuration; nil where everything is kept.
    public init?(_ retention: Configuration.Retention) {
        self.init(
            maximumAge: retention.maxAge > .zero ? retention.maxAge.nanoseconds : nil,
            maximumTotalBytes: retention.maxBytes > 0 ? UInt64(retention.maxBytes) : nil,
            maximumJobBytes: retention.maxJobBytes > 0 ? UInt64(retention.maxJobBytes) : nil)
        if self == .unlimited { return nil }
    }
}
