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
                    let (deleted, failed) = try await engine.pruneRecords(olderThan: storage.state.maxAge.nanoseconds)
                    guard deleted + failed > 0 else { return }
                    logger.info(
                        "retention", metadata: ["store": "state", "deleted": "\(deleted)", "failed": "\(failed)"])
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
            while !Task.isCancelled {
                do throws(StorageError) {
                    try await body()
                } catch {
                    if error == .cancelled { return }
                    // The next turn tries again.
                    logger.warning("retention", metadata: ["store": "\(store)", "error": "\(error)"])
                }
                do { try await Task.sleep(for: interval, clock: .continuous) } catch { return }
            }
        }
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
