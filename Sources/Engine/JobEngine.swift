import Glibc
import Kernel
public import Logging
import Sandbox
public import Storage

/// Runs jobs: accepts, supervises, records, and gives back what they wrote.
///
/// Knows stores only by their protocols, and shims only by their sockets.
public actor JobEngine {
    /// The node's identity.
    public nonisolated let identity: NodeIdentity
    nonisolated let configuration: EngineConfiguration
    nonisolated let jobStore: any JobStore
    nonisolated let logStore: any LogStore
    nonisolated let logger: Logger
    nonisolated let host = HostResources.current()
    nonisolated let key: SecretKey
    nonisolated let journal: StateJournal
    nonisolated let watcher: OutboxWatcher
    nonisolated let planner: SandboxPlanner
    nonisolated let cgroups: any CgroupDriver
    private let directory: DataDirectory
    nonisolated let runDirectory: String

    var hot: [JobID: HotJob] = [:]
    var ranges: IDRanges
    var isAccepting = false
    private(set) var shipper: StateShipper?
    private(set) var fleet: ShimFleet?
    private var tasks: [Task<Void, Never>] = []

    /// A job of which memory holds something: it runs, or its record or log is not in the stores yet.
    struct HotJob {
        let job: Job
        /// The highest version that the job store has.
        var storedVersion: UInt64
        var isLogComplete: Bool
        var shipping: Task<Void, Never>?
        /// Whether the job has a tombstone that waits for the stores.
        var isDeleted = false
    }

    /// Takes the data directory and opens the journal; `start` begins the work.
    public init(
        configuration: EngineConfiguration, jobs: any JobStore, logs: any LogStore, logger: Logger
    ) throws(EngineError) {
        self.configuration = configuration
        jobStore = jobs
        logStore = logs
        self.logger = logger
        directory = try DataDirectory(path: configuration.dataDirectory, nodeID: configuration.nodeID)
        identity = directory.identity
        runDirectory = "\(configuration.runDirectory)/\(directory.identity.incarnation.prefix(8))"
        key = try SecretKey(path: "\(configuration.dataDirectory)/node.key")
        journal = try StateJournal(directory: "\(configuration.dataDirectory)/journal")
        do throws(SystemCallError) {
            try Directory.create(configuration.outboxDirectory)
            try Directory.create(runDirectory)
            cgroups = try JobEngine.cgroupDriver(configuration, name: String(identity.incarnation.prefix(8)))
        } catch {
            throw EngineError(.internal, "\(error)")
        }
        watcher = try OutboxWatcher(root: configuration.outboxDirectory)
        ranges = IDRanges(first: configuration.firstID, count: configuration.idRanges)
        planner = try JobEngine.planner(configuration, key: key, runDirectory: runDirectory, logger: logger)
    }

    private static func cgroupDriver(
        _ configuration: EngineConfiguration, name: String
    ) throws(SystemCallError) -> any CgroupDriver {
        let host = try CgroupHost.current()
        switch host.mode {
        case .unified:
            let mount = host.mounts[""] ?? "/sys/fs/cgroup"
            let base = configuration.cgroupBase
            let parent =
                base.isEmpty
                ? mount + CgroupHost.parent(of: host.own[""] ?? "")
                : String(base[..<(base.lastIndex(of: "/") ?? base.startIndex)])
            return try UnifiedCgroups(
                parent: parent, base: base.isEmpty ? "\(parent)/joblet-\(name)" : base, isRoot: parent == mount)
        case .legacy: return try LegacyCgroups(host: host, name: name)
        case .none: return NoCgroups()
        }
    }

    /// Recovers what an earlier daemon left, then takes jobs.
    ///
    /// Throws `unavailable` where the job store cannot say which jobs this node has.
    public func start() async throws(EngineError) {
        let shipper = StateShipper(
            journal: journal, jobs: jobStore, logs: logStore, logger: logger,
            removeFiles: { [weak self] job in await self?.removeFiles(of: job) ?? false },
            didShip: { [weak self] entry in await self?.didShip(entry) })
        self.shipper = shipper
        let fleet = ShimFleet(
            configuration: configuration, runDirectory: runDirectory, cgroups: cgroups, logger: logger,
            report: { [weak self] event in await self?.handle(event) })
        self.fleet = fleet
        try await recover(fleet: fleet, shipper: shipper)
        tasks.append(Task { await shipper.run() })
        isAccepting = true
    }

    /// Stops taking jobs and lets go of everything; running jobs go on unless `stoppingJobs`.
    public func shutdown(stoppingJobs: Bool) async {
        isAccepting = false
        if stoppingJobs {
            let running = hot.values.map(\.job).filter { !$0.record.status.isTerminal }
            await withTaskGroup(of: Void.self) { group in
                for job in running {
                    group.addTask {
                        await job.requestStop(grace: self.configuration.stopGrace)
                        _ = await job.wait { $0.status.isTerminal }
                    }
                }
            }
        }
        await fleet?.close()
        shipper?.close()
        for job in hot.values { job.shipping?.cancel() }
        for task in tasks { await task.value }
        cgroups.removeIfEmpty()
        directory.release()
    }

    // MARK: Hot jobs

    /// Takes a job into memory and begins to serve it.
    @discardableResult
    func admit(_ record: JobRecord, storedVersion: UInt64, isLogComplete: Bool) throws(EngineError) -> Job {
        guard let shipper else { throw EngineError(.unavailable, "the engine is not started") }
        let job = Job(record, journal: journal, shipper: shipper, logger: logger)
        var entry = HotJob(job: job, storedVersion: storedVersion, isLogComplete: isLogComplete)
        if !isLogComplete { entry.shipping = Task { await self.shipLog(of: record.id) } }
        hot[record.id] = entry
        if let base = record.lease?.idRange { ranges.take(base) }
        if !record.status.isTerminal {
            let base = record.lease?.idRange
            Task { await job.run { ended in await self.didEnd(ended, idRange: base) } }
        }
        return job
    }

    private func shipLog(of id: JobID) async {
        let durability = hot[id]?.job.record.specification.durability ?? configuration.durability
        let shipper = LogShipper(
            job: id, durability: durability, store: logStore, cursor: OutboxCursor(root: configuration.outboxDirectory, job: id),
            watcher: watcher, logger: logger, didRelease: { [weak self] in await self?.didRelease(id) })
        if await shipper.run() { logIsComplete(id) }
    }

    private func didRelease(_ id: JobID) async {
        await fleet?.released(ShimJob(high: id.words.high, low: id.words.low))
    }

    /// The job has no more output to ship.
    func logIsComplete(_ id: JobID) {
        hot[id]?.isLogComplete = true
        forgetIfCold(id)
        watcher.notify(id)
    }

    private func didEnd(_ record: JobRecord, idRange: UInt32?) async {
        if let idRange { ranges.release(idRange) }
        logger.info(
            "job ended",
            metadata: [
                "jobId": "\(record.id)", "status": "\(record.status.rawValue)", "exitCode": "\(record.exitCode)",
                "reason": "\(record.reason)",
            ])
        await UploadStaging(directory: "\(configuration.dataDirectory)/staging", job: record.id, limit: 0).discard()
        forgetIfCold(record.id)
        watcher.notify(record.id)
    }

    private func didShip(_ entry: JournalEntry) {
        switch entry {
        case .record(let record):
            guard var entry = hot[record.id] else { return }
            entry.storedVersion = max(entry.storedVersion, record.version)
            hot[record.id] = entry
        case .deleted(let id, _): hot[id] = nil
        }
        forgetIfCold(entry.job)
    }

    private func forgetIfCold(_ id: JobID) {
        guard let entry = hot[id], !entry.isDeleted else { return }
        let record = entry.job.record
        if record.status.isTerminal, entry.isLogComplete, entry.storedVersion >= record.version { hot[id] = nil }
    }

    /// Removes what the engine keeps of a deleted job; true when all is gone.
    private func removeFiles(of id: JobID) async -> Bool {
        hot[id]?.shipping?.cancel()
        do {
            try await OutboxCursor(root: configuration.outboxDirectory, job: id).removeAll()
            try Directory.removeTree(planner.workDirectory(of: id))
            try Directory.removeTree("\(configuration.dataDirectory)/staging/\(id)")
            return true
        } catch {
            logger.error("files of a deleted job remain", metadata: ["jobId": "\(id)", "error": "\(error)"])
            return false
        }
    }

    // MARK: Shims

    private func handle(_ event: ShimFleet.Event) async {
        switch event {
        case .shim(let event, _): apply(event)
        case .lost(let shim, let exits):
            for record in exits { apply(.exited(record)) }
            let ended = Set(exits.map(\.job))
            for entry in hot.values where !entry.job.record.status.isTerminal && !ended.contains(entry.job.shimJob) {
                guard await entry.job.shimDirectory == shim.directory else { continue }
                await lose(entry.job, reason: "supervisor lost")
            }
        }
    }

    private func apply(_ event: ShimEvent) {
        switch event {
        case .welcome: break
        case .started(let id, let pid, let time): hot[JobID(id)]?.job.post(.started(pid: pid, time: time))
        case .startFailed(let id, let step, let code):
            let reason = "sandbox: \(step): \(SystemCallError.message(for: code))"
            hot[JobID(id)]?.job.post(.startFailed(reason: reason, time: SystemClock.now()))
            abandonLog(JobID(id))
        case .exited(let record):
            hot[JobID(record.job)]?.job.post(
                .exited(
                    code: record.exitCode, signal: record.signal, ranOutOfMemory: record.ranOutOfMemory,
                    time: record.time))
        case .drained(let id, _):
            // The log of a job that is not kept: a start that failed, or a deleted job.
            let job = JobID(id)
            if hot[job].map({ $0.isLogComplete }) ?? true {
                Task { try? await OutboxCursor(root: configuration.outboxDirectory, job: job).removeAll() }
            }
        }
    }

    /// A job that never ran has no log to wait for.
    func abandonLog(_ id: JobID) {
        hot[id]?.shipping?.cancel()
        logIsComplete(id)
    }

    /// Ends a job that nobody supervises: kills what is left of it, then closes its log.
    func lose(_ job: Job, reason: String) async {
        var backOff = BackOff()
        while !cgroups.destroy(job.id) { await backOff.wait() }
        job.post(.lost(reason: reason, time: SystemClock.now()))
        Task { await self.endLog(of: job.id) }
    }

    /// Writes the end of a log whose pump is gone; waits while an orphaned pump still drains.
    func endLog(of id: JobID) async {
        let cursor = OutboxCursor(root: configuration.outboxDirectory, job: id)
        var backOff = BackOff()
        while hot[id]?.isLogComplete == false {
            do throws(StorageError) {
                try await cursor.repairAndEnd(segmentBytes: Int(clamping: configuration.segmentBytes))
                watcher.notify(id)
                return
            } catch {
                await backOff.wait()
            }
        }
    }
}

extension JobID {
    init(_ job: ShimJob) {
        self.init(high: job.high, low: job.low)
    }
}

extension Job {
    /// The directory of the shim that runs the job; nil before it is known.
    var shimDirectory: String? { shim?.directory }
}
