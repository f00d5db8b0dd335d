import BenchmarkSupport
import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf

extension Node {
    private static var options: CallOptions {
        var options = CallOptions.defaults
        options.maxResponseMessageBytes = 1 << 28
        return options
    }

    /// A request for a job that its limits do not slow.
    static func request(_ command: [String]) -> Joblet_RunJobRequest {
        var request = Joblet_RunJobRequest()
        request.command = command[0]
        request.args = Array(command.dropFirst())
        request.maxCpu = Int32(100 * ProcessInfo.processInfo.activeProcessorCount)
        return request
    }

    /// The request of a job that has a file `text` and runs a script.
    static func textRequest(_ text: [UInt8], script: String) -> Joblet_RunJobRequest {
        var request = Node.request(["sh", "-c", script])
        request.uploads = [
            .with {
                $0.path = "text"
                $0.mode = 0o644
                $0.content = Data(text)
            }
        ]
        return request
    }

    /// Starts a job; returns its id as soon as the server answers.
    func start(_ request: Joblet_RunJobRequest) async throws -> String {
        try await jobs.runJob(request).jobUuid
    }

    /// The request of a job that runs the floor program inside its sandbox.
    func floorRequest(_ arguments: [String]) throws -> Joblet_RunJobRequest {
        var request = Node.request(["/work/floor"] + arguments)
        request.uploads = [
            .with {
                $0.path = "floor"
                $0.mode = 0o755
                $0.content = FileManager.default.contents(atPath: floor.program) ?? Data()
            }
        ]
        return request
    }

    /// Hands every part of a job's output to `body`, in order, until the job has ended.
    func follow(
        _ id: String, streams: [String] = [], _ body: @Sendable @escaping (Joblet_DataChunk) throws -> Void
    ) async throws {
        var request = Joblet_GetJobLogsReq()
        request.uuid = id
        request.streams = streams
        try await jobs.getJobLogs(request, options: Node.options) { response in
            for try await chunk in response.messages {
                guard chunk.droppedBytes == 0 else { throw Wrong("bytes of job \(id) were dropped") }
                try body(chunk)
            }
        }
    }

    /// Returns once the job is COMPLETED; throws where it ends otherwise.
    func completion(of id: String) async throws {
        while true {
            let job = try await jobs.getJobStatus(.with { $0.uuid = id })
            switch job.status {
            case "COMPLETED": return
            case "FAILED", "STOPPED", "CANCELED": throw Wrong("job \(id) is \(job.status): \(job.reason)")
            // Its log has ended, so that its end is on its way.
            default: continue
            }
        }
    }

    /// Runs a job to its end, as a caller that waits for it.
    func complete(_ request: Joblet_RunJobRequest) async throws {
        let id = try await start(request)
        try await follow(id) { _ in }
        try await completion(of: id)
    }

    /// Returns once the stores have every job's output: nothing is left in the outbox.
    func storesAreLevel() async throws {
        while try !FileManager.default.contentsOfDirectory(atPath: outbox).isEmpty {
            // A sample of the files; nothing is told to a client when the stores have caught up.
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Throws unless the node lists exactly so many jobs and all are COMPLETED.
    func checkAllCompleted(_ count: Int) async throws {
        let listed = try await jobs.listJobs(Joblet_EmptyRequest(), options: Node.options).jobs
        guard listed.count == count else { throw Wrong("\(listed.count) jobs are listed, not \(count)") }
        if let job = listed.first(where: { $0.status != "COMPLETED" }) {
            throw Wrong("job \(job.uuid) is \(job.status): \(job.reason)")
        }
    }
}
