import Engine
import JobletAPI
import Storage

/// A QueryMetrics request, checked.
struct MetricSampleQuery: Sendable {
    /// Ends the reading once nothing more is wanted.
    private struct Enough: Error {}

    private let query: MetricQuery
    private let type: MetricType?
    private let offset: Int
    private let limit: Int

    /// Throws `invalidArgument` for values that make no sense.
    init(_ message: Joblet_Persist_QueryMetricsRequest, job: JobID) throws(EngineError) {
        try checkNotNegative(message.startTime, message.endTime, message.limit, message.offset)
        type = MetricType(rawValue: message.metricType)
        guard type != nil || message.metricType.isEmpty else {
            let names = MetricType.allCases.map(\.rawValue).joined(separator: ", ")
            throw EngineError(
                .invalidArgument, "metric_type must be one of \(names), not '\(message.metricType.prefix(32))'")
        }
        query = MetricQuery(
            job: job, types: type.map { [$0] } ?? Set(MetricType.allCases),
            since: message.startTime == 0 ? nil : message.startTime,
            until: message.endTime == 0 ? nil : message.endTime)
        offset = Int(message.offset)
        limit = message.limit == 0 ? .max : Int(message.limit)
    }

    /// Calls `body` with the samples that are wanted, in order, several at a time.
    func run(on history: any JobHistory, _ body: ([Joblet_Persist_Metric]) async throws -> Void) async throws {
        var skipped = 0
        var sent = 0
        do {
            try await history.readMetrics(query) { samples in
                let skip = min(offset - skipped, samples.count)
                skipped += skip
                let wanted = samples.dropFirst(skip).prefix(limit - sent)
                sent += wanted.count
                if !wanted.isEmpty {
                    try await body(wanted.map { Joblet_Persist_Metric($0, job: "\(query.job)", type: type) })
                }
                if sent >= limit { throw Enough() }
            }
        } catch is Enough {}
    }
}

extension Joblet_Persist_Metric {
    /// A sample: the figures that the published message has, and every value of the whole job by name.
    init(_ sample: MetricSample, job: String, type: MetricType?) {
        self.init()
        jobID = job
        timestamp = sample.time
        sequence = sample.sequence
        metricType = type?.rawValue ?? ""
        // A dictionary that grows is made anew at each step.
        var all = [String: Double](minimumCapacity: sample.points.reduce(0) { $0 + $1.values.count })
        for point in sample.points where point.labels.isEmpty { all.merge(point.values) { $1 } }
        values = all
        func count(_ name: String) -> Int64 { all[name].flatMap { Int64(exactly: $0.rounded()) } ?? 0 }
        data.cpuUsage = (all["cpu_percent"] ?? 0) / 100
        data.memoryUsage = count("memory_rss")
        data.diskIo.readBytes = count("io_read_bytes")
        data.diskIo.writeBytes = count("io_write_bytes")
        data.diskIo.readOps = count("io_read_ops")
        data.diskIo.writeOps = count("io_write_ops")
        let accelerators = sample.points.compactMap { $0.values["gpu_utilization"] }
        if !accelerators.isEmpty { data.gpuUsage = accelerators.reduce(0, +) / Double(accelerators.count) / 100 }
    }
}
