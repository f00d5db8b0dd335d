import JobletAPI
public import Storage
import SwiftProtobuf

/// The daemon's access to one storage worker: its stores are calls over the worker's socket.
///
/// Writing and reading have a connection each, so that a backlog that drains keeps no reader waiting.
public final class WorkerClient: Sendable {
    /// How long calls wait for a worker that is away before they fail with `unavailable`.
    public static let defaultPatience = Duration.seconds(3)

    private let writing: WorkerLink
    private let reading: WorkerLink

    /// Begins to connect to the worker called `name` at `socket`; `close` must be called.
    public init(
        socket: String, name: String, frameLimit: Int = WorkerServer.defaultFrameLimit,
        patience: Duration = defaultPatience
    ) {
        writing = WorkerLink(socket: socket, name: name, frameLimit: frameLimit, patience: patience)
        reading = WorkerLink(socket: socket, name: name, frameLimit: frameLimit, patience: patience)
    }

    /// The worker's store of the jobs' output.
    public var logs: any LogStore { WorkerLogStore(writing: writing, reading: reading) }

    /// The worker's store of the jobs' samples.
    public var metrics: any MetricStore { WorkerMetricStore(writing: writing, reading: reading) }

    /// The worker's store of job records.
    public var jobs: any JobStore { WorkerJobStore(writing: writing, reading: reading) }

    /// Asks the worker's backends for something small; throws why they do not work.
    public func check() async throws(StorageError) {
        try await reading.perform(.check(.init()))
    }

    /// Ends the connections; calls fail from now on.
    public func close() async {
        await writing.close()
        await reading.close()
    }
}

extension WorkerLink {
    /// A call that is answered by no more than that it was done.
    func perform(_ call: Call, size: Int = 64) async throws(StorageError) {
        guard case .done = try await self.call(call, size: size) else { throw WorkerLink.mismatch }
    }

    /// A call that is answered by job ids.
    func jobs(_ call: Call) async throws(StorageError) -> [JobID] {
        guard case .jobs(let jobs) = try await self.call(call) else { throw WorkerLink.mismatch }
        return try WorkerLink.reading { () throws(MalformedMessage) in try JobID.list(jobs.ids) }
    }

    /// A call that is answered by where something ends.
    func position(_ call: Call) async throws(StorageError) -> UInt64? {
        guard case .position(let answer) = try await self.call(call) else { throw WorkerLink.mismatch }
        return answer.hasPosition ? answer.position : nil
    }

    /// Ends by job, asked for in parts that fit a frame.
    func ends(
        of jobs: [JobID], _ call: (Joblet_Ipc_Jobs) -> Call
    ) async throws(StorageError) -> [JobID: UInt64] {
        var ends: [JobID: UInt64] = [:]
        for part in jobs.parts(of: currentFrameLimit / 64) {
            guard case .positions(let answer) = try await self.call(call(.init(Array(part))), size: 16 * part.count)
            else { throw WorkerLink.mismatch }
            let found = try WorkerLink.reading { () throws(MalformedMessage) in try answer.ends() }
            ends.merge(found) { $1 }
        }
        return ends
    }

    /// Job ids in their order, asked for in parts that fit a frame.
    func page(
        after job: JobID?, limit: Int, _ call: (Joblet_Ipc_JobPageQuery) -> Call
    ) async throws(StorageError) -> [JobID] {
        try await page(after: job, limit: limit, of: \.self) { query throws(StorageError) in
            try await jobs(call(query))
        }
    }

    /// What a store holds of each job, asked for in parts that fit a frame.
    func usages(
        after job: JobID?, limit: Int, _ call: (Joblet_Ipc_JobPageQuery) -> Call
    ) async throws(StorageError) -> [JobUsage] {
        try await page(after: job, limit: limit, of: \.job) { query throws(StorageError) in
            guard case .usages(let usages) = try await self.call(call(query)) else { throw WorkerLink.mismatch }
            return try WorkerLink.reading { () throws(MalformedMessage) in try usages.list() }
        }
    }

    private func page<Element>(
        after job: JobID?, limit: Int, of id: (Element) -> JobID,
        _ part: (Joblet_Ipc_JobPageQuery) async throws(StorageError) -> [Element]
    ) async throws(StorageError) -> [Element] {
        var found: [Element] = []
        while found.count < limit {
            let wanted = min(limit - found.count, RequestBudget.entries(frameLimit: currentFrameLimit))
            let query = Joblet_Ipc_JobPageQuery.with { query in
                if let start = found.last.map(id) ?? job { query.after = start.message }
                query.limit = UInt64(wanted)
            }
            let next = try await part(query)
            found += next
            if next.count < wanted { break }
        }
        return found
    }

    /// Gives up a job's oldest data; returns what is left of it, in bytes.
    func trim(_ call: Call) async throws(StorageError) -> UInt64 {
        guard case .size(let size) = try await self.call(call) else { throw WorkerLink.mismatch }
        return size.bytes
    }

    /// The failure of a worker that answers with something else than was asked for.
    static var mismatch: StorageError {
        .unavailable(reason: "the storage worker answered with something else than was asked for")
    }

    /// Runs `body`; an answer that means nothing is a worker that does not work.
    static func reading<Value>(_ body: () throws(MalformedMessage) -> Value) throws(StorageError) -> Value {
        do throws(MalformedMessage) {
            return try body()
        } catch {
            throw .unavailable(reason: "the storage worker's answer cannot be read: \(error)")
        }
    }
}

extension Array {
    /// The array in parts of at most `count` elements; no part of an empty one.
    func parts(of count: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: self.count, by: Swift.max(1, count)).map { start in
            self[start..<Swift.min(self.count, start + Swift.max(1, count))]
        }
    }
}
