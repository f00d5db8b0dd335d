import JobletAPI
import Storage

/// Turns calls of the wire into calls of the stores, and what comes of them into answers.
struct StoreDispatch: Sendable {
    let stores: WorkerStores
    let frameLimit: Int
    private let logOrder = JobOrder()
    private let metricOrder = JobOrder()

    init(stores: WorkerStores, frameLimit: Int) {
        self.stores = stores
        self.frameLimit = frameLimit
    }

    /// The answer to a call; failures are answers too.
    func answer(_ call: WorkerLink.Call?) async -> WorkerLink.Answer {
        switch call {
        case .appendLog(let message): await logOrder.run(JobID(message.job)) { await self.perform(call) }
        case .skipLog(let message): await logOrder.run(JobID(message.job)) { await self.perform(call) }
        case .trimLog(let message): await logOrder.run(JobID(message.job)) { await self.perform(call) }
        case .finishLog(let job), .deleteLog(let job):
            await logOrder.run(JobID(job)) { await self.perform(call) }
        case .appendMetrics(let message): await metricOrder.run(JobID(message.job)) { await self.perform(call) }
        case .skipMetrics(let message): await metricOrder.run(JobID(message.job)) { await self.perform(call) }
        case .trimMetrics(let message): await metricOrder.run(JobID(message.job)) { await self.perform(call) }
        case .finishMetrics(let job), .deleteMetrics(let job):
            await metricOrder.run(JobID(job)) { await self.perform(call) }
        default: await perform(call)
        }
    }

    private func perform(_ call: WorkerLink.Call?) async -> WorkerLink.Answer {
        do {
            guard let call else { throw MalformedMessage("a call unknown here") }
            if let answer = try await log(call) { return answer }
            if let answer = try await metrics(call) { return answer }
            if let answer = try await records(call) { return answer }
            try await stores.check()
            return .done(.init())
        } catch let error as StorageError {
            return .failure(error.message)
        } catch {
            return .failure(StorageError.refused(reason: "the storage worker does not understand: \(error)").message)
        }
    }

    // MARK: Logs

    private func log(_ call: WorkerLink.Call) async throws -> WorkerLink.Answer? {
        switch call {
        case .appendLog(let message): try await logs.append(try message.run(), to: JobID(message.job))
        case .skipLog(let message):
            try await logs.skip(to: message.position, of: JobID(message.job), time: message.time)
        case .finishLog(let job): try await logs.finish(JobID(job))
        case .deleteLog(let job): try await logs.delete(JobID(job))
        case .syncLogs(let jobs): return .positions(.init(try await logs.sync(JobID.list(jobs.ids))))
        case .endOfLog(let job): return .position(.init(try await logs.end(of: JobID(job))))
        case .readLog(let message):
            // A text filter holds lines back, and a page may be longer by all of them.
            let room = RequestBudget.pageBytes(frameLimit: frameLimit) / (message.query.hasGrep ? 2 : 1)
            let limit = count(message.maxBytes, atMost: room)
            let page = try await logs.read(
                LogQuery(message.query), after: LogCursor(message.after), maxBytes: max(1, limit))
            return .logPage(page.message)
        case .logTail(let message):
            return .logCursor(
                try await logs.cursor(forLast: count(message.lines), of: LogQuery(message.query)).message)
        case .logJobs(let message):
            return .jobs(.init(try await logs.jobs(after: message.start, limit: message.limit(frameLimit))))
        case .logStatistics(let job): return .logStatistics(try await logs.statistics(of: JobID(job)).message)
        case .logUsages(let message):
            return .usages(.init(try await logs.usages(after: message.start, limit: message.limit(frameLimit))))
        case .trimLog(let message): return .size(.init(try await logs.trim(JobID(message.job), to: message.bytes)))
        default: return nil
        }
        return .done(.init())
    }

    private var logs: any LogStore {
        get throws(StorageError) { try offered(stores.logs, "logs") }
    }

    // MARK: Metrics

    private func metrics(_ call: WorkerLink.Call) async throws -> WorkerLink.Answer? {
        switch call {
        case .appendMetrics(let message):
            try await metrics.append(try [MetricSample](message.samples), to: JobID(message.job))
        case .skipMetrics(let message): try await metrics.skip(to: message.position, of: JobID(message.job))
        case .finishMetrics(let job): try await metrics.finish(JobID(job))
        case .deleteMetrics(let job): try await metrics.delete(JobID(job))
        case .syncMetrics(let jobs): return .positions(.init(try await metrics.sync(JobID.list(jobs.ids))))
        case .endOfMetrics(let job): return .position(.init(try await metrics.end(of: JobID(job))))
        case .readMetrics(let message):
            let page = try await metrics.read(
                try MetricQuery(message.query), from: message.from, limit: max(1, count(message.limit)))
            return .metricPage(page.message(limit: RequestBudget.pageBytes(frameLimit: frameLimit)))
        case .metricJobs(let message):
            return .jobs(.init(try await metrics.jobs(after: message.start, limit: message.limit(frameLimit))))
        case .metricStatistics(let job):
            return .metricStatistics(try await metrics.statistics(of: JobID(job)).message)
        case .metricUsages(let message):
            return .usages(.init(try await metrics.usages(after: message.start, limit: message.limit(frameLimit))))
        case .trimMetrics(let message):
            return .size(.init(try await metrics.trim(JobID(message.job), to: message.bytes)))
        default: return nil
        }
        return .done(.init())
    }

    private var metrics: any MetricStore {
        get throws(StorageError) { try offered(stores.metrics, "metrics") }
    }

    // MARK: Records

    private func records(_ call: WorkerLink.Call) async throws -> WorkerLink.Answer? {
        switch call {
        case .putRecords(let message): try await jobs.put(try message.list())
        case .syncRecords: try await jobs.sync()
        case .deleteRecord(let message): try await jobs.delete(JobID(message.job), version: message.version)
        case .getRecord(let job):
            return .records(
                .init(JobPage(records: [try await jobs.get(JobID(job))], next: nil), limit: frameLimit))
        case .recordIds(let message):
            guard let prefix = JobIDPrefix(message.prefix) else { throw MalformedMessage("not the prefix of an id") }
            let limit = count(message.limit, atMost: RequestBudget.entries(frameLimit: frameLimit))
            return .jobs(.init(try await jobs.ids(prefix: prefix, limit: limit)))
        case .listRecords(let message):
            let page = try await jobs.list(
                try JobQuery(message), after: message.hasAfter ? JobCursor(message.after) : nil,
                limit: count(message.limit))
            return .records(.init(page, limit: RequestBudget.pageBytes(frameLimit: frameLimit)))
        default: return nil
        }
        return .done(.init())
    }

    private var jobs: any JobStore {
        get throws(StorageError) { try offered(stores.jobs, "job records") }
    }

    private func offered<Store>(_ store: Store?, _ name: String) throws(StorageError) -> Store {
        guard let store else { throw .refused(reason: "this storage worker keeps no \(name)") }
        return store
    }
}

extension Joblet_Ipc_Position {
    init(_ position: UInt64?) {
        self.init()
        if let position { self.position = position }
    }
}

extension Joblet_Ipc_JobPageQuery {
    /// The id after which the page begins.
    var start: JobID? { hasAfter ? JobID(after) : nil }

    /// How many ids or usages the page may have to fit a frame.
    func limit(_ frameLimit: Int) -> Int { count(limit, atMost: RequestBudget.entries(frameLimit: frameLimit)) }
}
