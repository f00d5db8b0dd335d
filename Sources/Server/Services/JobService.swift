import Engine
import GRPCCore
import JobletAPI
import Storage

/// `joblet.JobService`: jobs, their logs, and a refusal for what does not exist yet.
struct JobService: Joblet_JobService.SimpleServiceProtocol {
    /// Records of one page of a list.
    private static let page = 500

    let engine: JobEngine
    let closing: ClosingSignal

    func runJob(request: Joblet_RunJobRequest, context: ServerContext) async throws -> Joblet_RunJobResponse {
        try await Status.mapping {
            let id = JobID.random()
            let uploads = request.uploads.isEmpty ? nil : engine.stage(for: id)
            do {
                for file in request.uploads {
                    let path = try WorkPath(file.path)
                    if file.isDirectory {
                        guard file.content.isEmpty else {
                            throw EngineError(
                                .invalidArgument, "upload '\(file.path.prefix(128))': a directory has no content")
                        }
                        try await uploads?.makeDirectory(path, mode: file.mode)
                    } else {
                        try await uploads?.beginFile(path, mode: file.mode)
                        try await uploads?.write(Array(file.content))
                    }
                }
                return try await engine.submit(try JobRequest(request), id: id, uploads: uploads).startMessage
            } catch {
                await uploads?.discard()
                throw error
            }
        }
    }

    func getJobStatus(
        request: Joblet_GetJobStatusReq, context: ServerContext
    ) async throws -> Joblet_GetJobStatusRes {
        try await Status.mapping {
            try await engine.record(of: try await resolve(request.uuid)).statusMessage
        }
    }

    func stopJob(request: Joblet_StopJobReq, context: ServerContext) async throws -> Joblet_StopJobRes {
        try await Status.mapping {
            let record = try await engine.stop(try await resolve(request.uuid))
            var message = Joblet_StopJobRes()
            message.uuid = "\(record.id)"
            message.status = record.status.rawValue
            message.endTime = TimeText.text(record.endedAt)
            message.exitCode = record.exitCode
            message.reason = record.reason
            return message
        }
    }

    func cancelJob(request: Joblet_CancelJobReq, context: ServerContext) async throws -> Joblet_CancelJobRes {
        try await Status.mapping {
            let record = try await engine.cancel(try await resolve(request.uuid))
            var message = Joblet_CancelJobRes()
            message.uuid = "\(record.id)"
            message.status = record.status.rawValue
            message.canceledAt = TimeText.text(record.endedAt)
            return message
        }
    }

    func deleteJob(request: Joblet_DeleteJobReq, context: ServerContext) async throws -> Joblet_DeleteJobRes {
        try await Status.mapping {
            let (id, _) = try await history(of: request.uuid, amongAll: true)
            try await engine.delete(id)
            var message = Joblet_DeleteJobRes()
            message.uuid = "\(id)"
            message.success = true
            message.message = "Job deleted successfully"
            return message
        }
    }

    func deleteAllJobs(
        request: Joblet_DeleteAllJobsReq, context: ServerContext
    ) async throws -> Joblet_DeleteAllJobsRes {
        try await Status.mapping {
            let (deleted, skipped) = try await engine.deleteAll()
            var message = Joblet_DeleteAllJobsRes()
            message.success = true
            message.deletedCount = Int32(clamping: deleted)
            message.skippedCount = Int32(clamping: skipped)
            message.message = "Successfully deleted \(deleted) jobs, skipped \(skipped) running/scheduled jobs"
            return message
        }
    }

    func listJobs(request: Joblet_EmptyRequest, context: ServerContext) async throws -> Joblet_Jobs {
        try await Status.mapping {
            var message = Joblet_Jobs()
            var cursor: JobCursor?
            repeat {
                let page = try await engine.list(
                    JobQuery(node: engine.identity.id), after: cursor, limit: JobService.page)
                message.jobs += page.records.map(\.listMessage)
                cursor = page.next
            } while cursor != nil
            return message
        }
    }

    func getJobLogs(
        request: Joblet_GetJobLogsReq, response: RPCWriter<Joblet_DataChunk>, context: ServerContext
    ) async throws {
        try await Status.mapping {
            let (id, _) = try await history(of: request.uuid)
            let query = try LogRequest(request, job: id)
            try await closing.ending(context) { try await query.send(from: engine, to: response) }
        }
    }

    func getJobMetrics(
        request: Joblet_JobMetricsRequest, response: RPCWriter<Joblet_JobMetricsSample>, context: ServerContext
    ) async throws {
        try await Status.mapping {
            let (id, record) = try await history(of: request.uuid)
            let query = try MetricRequest(request, job: id, record: record, engine: engine)
            try await closing.ending(context) { try await query.send(from: engine, to: response) }
        }
    }

    func resolve(_ text: String) async throws(EngineError) -> JobID {
        guard !text.isEmpty else { throw EngineError(.invalidArgument, "uuid is required") }
        return try await engine.resolve(text)
    }

    /// The job whose id begins with `text`, and its record unless only its output and samples are stored.
    private func history(
        of text: String, amongAll: Bool = false
    ) async throws(EngineError) -> (JobID, JobRecord?) {
        guard !text.isEmpty else { throw EngineError(.invalidArgument, "uuid is required") }
        let id = try await engine.resolveHistory(text, amongAll: amongAll)
        return (id, try await engine.recordOfHistory(of: id))
    }
}
