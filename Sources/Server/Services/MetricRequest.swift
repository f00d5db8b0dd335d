import Engine
import FoundationEssentials
import GRPCCore
import JobletAPI
import Storage

/// A GetJobMetrics request, checked.
struct MetricRequest {
    private let query: MetricQuery
    private let follows: Bool
    private let limits: JobLimits
    private let cgroupPath: String
    private let intervalSeconds: Int32

    /// Without a record the limits are unknown, as those of imported samples are. Throws `invalidArgument` for values
    /// that make no sense.
    init(
        _ message: Joblet_JobMetricsRequest, job: JobID, record: JobRecord?, engine: JobEngine
    ) throws(EngineError) {
        guard message.since >= 0, message.until >= 0 else {
            throw EngineError(.invalidArgument, "since and until cannot be negative")
        }
        query = MetricQuery(
            job: job, since: message.since == 0 ? nil : message.since,
            until: message.until == 0 ? nil : message.until)
        // What is read from now on is later than a time that is over.
        let isOver = message.until > 0 && Double(message.until) / 1e9 < Date().timeIntervalSince1970
        follows = isOver ? false : message.hasFollow ? message.follow : true
        limits = record?.specification.limits ?? JobLimits()
        cgroupPath = record?.node.id == engine.identity.id ? engine.cgroupPath(of: job) : ""
        intervalSeconds = Int32(clamping: max(1, (engine.metricInterval + 500_000_000) / 1_000_000_000))
    }

    /// Sends the samples, a message each; waits for the client where it is slow.
    func send(from engine: JobEngine, to response: RPCWriter<Joblet_JobMetricsSample>) async throws {
        try await engine.metrics.read(query, follows: follows) { samples in
            try await response.write(contentsOf: samples.map(message))
        }
    }

    private func message(_ sample: MetricSample) -> Joblet_JobMetricsSample {
        var message = Joblet_JobMetricsSample(sample)
        message.jobID = "\(query.job)"
        message.sampleIntervalSeconds = intervalSeconds
        message.cgroupPath = cgroupPath
        message.limits.cpu = limits.cpuPercent
        message.limits.memory = limits.memoryBytes
        return message
    }
}
