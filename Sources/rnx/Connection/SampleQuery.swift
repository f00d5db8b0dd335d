import GRPCCore
import JobletAPI
import Synchronization

/// Which samples of a job are wanted.
struct SampleQuery: Sendable {
    var job: String
    var follow = true
    /// Unix nanoseconds; 0 = no limit.
    var since: Int64 = 0
    var until: Int64 = 0

    var request: Joblet_JobMetricsRequest {
        var request = Joblet_JobMetricsRequest()
        request.uuid = job
        request.follow = follow
        request.since = since
        request.until = until
        return request
    }
}

extension Connection {
    /// Calls `body` with each sample and returns how many there were. A server that goes away while samples are
    /// followed may come back: they go on where they stopped.
    func follow(_ query: SampleQuery, _ body: @escaping @Sendable (Joblet_JobMetricsSample) throws -> Void)
        async throws -> Int
    {
        struct Progress {
            var count = 0
            var last: Joblet_JobMetricsSample?
        }
        var query = query
        var failures = 0
        let progress = Mutex(Progress())
        while true {
            let before = progress.withLock(\.count)
            do {
                try await jobs.getJobMetrics(query.request, options: Self.streaming) { response in
                    for try await sample in response.messages {
                        // The time of the last one is asked for again: others may share it.
                        let isKnown = progress.withLock { progress in
                            progress.last.map { sample.sequence <= $0.sequence && sample.timestampNanoseconds != 0 }
                                ?? false
                        }
                        if isKnown { continue }
                        try body(sample)
                        progress.withLock { progress in
                            progress.count += 1
                            progress.last = sample
                        }
                    }
                }
                return progress.withLock(\.count)
            } catch let error as RPCError where error.code == .unavailable {
                let now = progress.withLock { $0 }
                // A server that numbers no samples does not tell where to go on.
                guard wasReached, query.follow, let last = now.last, last.timestampNanoseconds > 0 else { throw error }
                if now.count > before { failures = 0 }
                query.since = last.timestampNanoseconds
                failures += 1
                guard failures <= Self.attempts else { throw error }
                if failures == 1 { StandardError.write("[joblet: \(error.loss), trying again]") }
                try await Task.sleep(for: Self.pause(after: failures))
            }
        }
    }
}
