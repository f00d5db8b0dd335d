import GRPCCore
import JobletAPI

/// Which output of a job is wanted.
struct LogQuery: Sendable {
    var job: String
    var follow = true
    /// Names; none = all.
    var streams: [String] = []
    /// Unix nanoseconds; 0 = no limit.
    var since: Int64 = 0
    var until: Int64 = 0
    /// Lines; 0 = all.
    var tail: Int32 = 0
    var fromPosition: UInt64 = 0
    var grep = ""

    var request: Joblet_GetJobLogsReq {
        var request = Joblet_GetJobLogsReq()
        request.uuid = job
        request.follow = follow
        request.streams = streams
        request.since = since
        request.until = until
        request.tail = tail
        request.fromPosition = fromPosition
        request.grep = grep
        return request
    }

    /// Whether positions of what arrives say where to go on: filtered output does not tell what was passed over.
    var canResume: Bool { follow && grep.isEmpty }
}

extension RPCError {
    /// What an answer UNAVAILABLE means: the server says so where it is its store that is away.
    var loss: String {
        metadata[stringValues: "joblet-unavailable"].contains { _ in true } ? message.printable : "connection lost"
    }
}

extension Connection {
    /// How often a lost connection is made again without a single byte in between.
    static let attempts = 12

    /// Streams the log into `sink`. A server that goes away while the log is followed may come back: the log goes on
    /// where it stopped.
    func follow(_ query: LogQuery, _ sink: LogSink) async throws {
        var query = query
        var failures = 0
        while true {
            do {
                try await jobs.getJobLogs(query.request, options: Self.streaming) { response in
                    for try await chunk in response.messages { try sink.take(chunk) }
                }
                return
            } catch let error as RPCError where error.code == .unavailable {
                guard wasReached, query.canResume, let next = sink.nextPosition else { throw error }
                if next > query.fromPosition {
                    failures = 0
                    query.fromPosition = next
                    query.tail = 0
                }
                failures += 1
                guard failures <= Self.attempts else { throw error }
                if failures == 1 { StandardError.write("[joblet: \(error.loss), trying again]") }
                try await Task.sleep(for: Self.pause(after: failures))
            }
        }
    }

    /// Waits until the job has ended.
    func waitForEnd(of uuid: String) async throws -> Joblet_GetJobStatusRes {
        var failures = 0
        var rounds = 0
        while true {
            do {
                let job = try await status(of: uuid)
                guard job.isActive else { return job }
                // The log ends a moment before the record of the job may say so.
                if rounds > 0 { try await Task.sleep(for: Self.pause(after: min(rounds, 4))) }
                rounds += 1
                // A log that begins after its end has nothing to send and closes with the job.
                var query = LogQuery(job: uuid)
                query.fromPosition = UInt64(Int64.max)
                try await jobs.getJobLogs(query.request, options: Self.streaming) { response in
                    for try await _ in response.messages {}
                }
                failures = 0
            } catch let error as RPCError where error.code == .unavailable {
                failures += 1
                guard failures <= Self.attempts else { throw error }
                try await Task.sleep(for: Self.pause(after: failures))
            }
        }
    }

    static func pause(after failures: Int) -> Duration {
        .milliseconds(min(50 << failures, 3000))
    }
}
