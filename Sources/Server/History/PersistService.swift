import Engine
import FoundationEssentials
import GRPCCore
import JobletAPI
import Storage

/// `joblet.persist.PersistService`: history of jobs, running or ended.
struct PersistService: Joblet_Persist_PersistService.SimpleServiceProtocol {
    let history: any JobHistory
    let closing: ClosingSignal

    func ping(request: Joblet_Persist_PingRequest, context: ServerContext) async throws -> Joblet_Persist_PingResponse {
        var message = Joblet_Persist_PingResponse()
        message.timestamp = Int64(Date().timeIntervalSince1970)
        do {
            try await history.check()
            message.healthy = true
        } catch {
            // That is what the answer says.
            message.healthy = false
        }
        return message
    }

    func queryLogs(
        request: Joblet_Persist_QueryLogsRequest, response: RPCWriter<Joblet_Persist_LogLine>, context: ServerContext
    ) async throws {
        try await Status.mapping {
            let job = try await resolve(request.jobID)
            let query = try LogLineQuery(request, job: job)
            try await closing.ending(context) {
                try await query.run(on: history) { lines in
                    try await response.write(contentsOf: lines.map { Joblet_Persist_LogLine($0, job: "\(job)") })
                }
            }
        }
    }

    func queryMetrics(
        request: Joblet_Persist_QueryMetricsRequest, response: RPCWriter<Joblet_Persist_Metric>, context: ServerContext
    ) async throws {
        try await Status.mapping {
            let query = try MetricSampleQuery(request, job: try await resolve(request.jobID))
            try await closing.ending(context) {
                try await query.run(on: history) { try await response.write(contentsOf: $0) }
            }
        }
    }

    func deleteJob(
        request: Joblet_Persist_DeleteJobRequest, context: ServerContext
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
