import Engine
import FoundationEssentials
import GRPCCore
import JobletAPI
import Storage

/// `joblet.persist.PersistService`: history of jobs, running or ended.
///
/// Where what a job wrote last may be on its way to the stores, the trailing metadata of an answer says up to which
/// position and time it is complete.
struct PersistService: Joblet_Persist_PersistService.ServiceProtocol {
    /// The position after the last byte, or the sequence after the last sample, that was looked at.
    static let positionKey = "joblet-answered-position"
    /// The time of that byte or sample, in nanoseconds since 1970; left out where there is none.
    static let timeKey = "joblet-answered-time"

    let history: any JobHistory
    let closing: ClosingSignal

    func ping(
        request: ServerRequest<Joblet_Persist_PingRequest>, context: ServerContext
    ) async throws -> ServerResponse<Joblet_Persist_PingResponse> {
        var message = Joblet_Persist_PingResponse()
        message.timestamp = Int64(Date().timeIntervalSince1970)
        do {
            try await history.check()
            message.healthy = true
        } catch {
            // That is what the answer says.
            message.healthy = false
        }
        return ServerResponse(message: message)
    }

    func queryLogs(
        request: ServerRequest<Joblet_Persist_QueryLogsRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Joblet_Persist_LogLine> {
        StreamingServerResponse { response in
            try await Status.mapping {
                let job = try await resolve(request.message.jobID)
                let query = try LogLineQuery(request.message, job: job)
                // Before it is read: what is stored meanwhile is in the answer besides.
                let extent = try await history.logExtent(of: job)
                try await closing.ending(context) {
                    try await query.run(on: history) { lines in
                        try await response.write(contentsOf: lines.map { Joblet_Persist_LogLine($0, job: "\(job)") })
                    }
                }
                return PersistService.metadata(extent)
            }
        }
    }

    func queryMetrics(
        request: ServerRequest<Joblet_Persist_QueryMetricsRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Joblet_Persist_Metric> {
        StreamingServerResponse { response in
            try await Status.mapping {
                let job = try await resolve(request.message.jobID)
                let query = try MetricSampleQuery(request.message, job: job)
                let extent = try await history.metricExtent(of: job)
                try await closing.ending(context) {
                    try await query.run(on: history) { try await response.write(contentsOf: $0) }
                }
                return PersistService.metadata(extent)
            }
        }
    }

    private static func metadata(_ extent: HistoryExtent?) -> Metadata {
        guard let extent else { return [:] }
        var metadata: Metadata = [positionKey: "\(extent.end)"]
        if let time = extent.time { metadata.addString("\(time)", forKey: timeKey) }
        return metadata
    }

    func deleteJob(
        request: ServerRequest<Joblet_Persist_DeleteJobRequest>, context: ServerContext
    ) async throws -> ServerResponse<Joblet_Persist_DeleteJobResponse> {
        ServerResponse(message: try await deleteJob(request.message))
    }

    private func deleteJob(
        _ request: Joblet_Persist_DeleteJobRequest
    ) async throws -> Joblet_Persist_DeleteJobResponse {
        try await Status.mapping {
            var message = Joblet_Persist_DeleteJobResponse()
            guard !request.jobID.isEmpty else {
                message.message = "Job ID cannot be empty"
                return message
            }
            let job = try await history.resolve(request.jobID)
            do {
                try await history.delete(job)
                message.success = true
                message.message = "Logs and metrics of job \(job) deleted"
            } catch let error as EngineError where error.code != .unavailable && error.code != .notFound {
                message.message = error.message
            }
            return message
        }
    }

    private func resolve(_ text: String) async throws -> JobID {
        guard !text.isEmpty else { throw EngineError(.invalidArgument, "job_id is required") }
        return try await history.resolve(text)
    }
}
