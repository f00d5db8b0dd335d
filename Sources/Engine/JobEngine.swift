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
    nonisolated let metricStore: any MetricStore
    nonisolated let logger: Logger
    nonisolated let host = HostResources.current()
    nonisolated let bootID = DataDirectory.bootID()
    nonisolated let key: SecretKey
    nonisolated let journal: StateJournal
    nonisolated let watcher: OutboxWatcher
    nonisolated let outboxMonitor: OutboxMonitor
    nonisolated let logCondition = StoreCondition()
    nonisolated let metricCondition = StoreCondition()
    nonisolated let metricOutbox: MetricOutbox
    nonisolated let sampler: MetricSampler
    nonisolated let planner: SandboxPlanner
    nonisolated let workDirectories: WorkDirectories
    nonisolated let cgroups: any CgroupDriver
    private let directory: DataDirectory
    nonisolated let runDirectory: String

    var hot: [JobID: HotJob] = [:]
    /// Jobs with a tombstone that waits for the stores: they are gone for everyone who asks.
    var deleted: Set<JobID> = []
    /// Jobs that have not ended, those that are being accepted included.
    var unfinished: Set<JobID> = []
    var ranges: IDRanges
    private(set) var isAccepting = false
    /// What is left of a start that the job store did not answer; nil once it did.
    var openQuestions: OpenQuestions?
    private var isClosed = false
    private(set) var shipper: StateShipper?
    private(set) var fleet: ShimFleet?
    private var shipping: Task<Void, Never>?
    /// Reads what jobs use, and brings it to its store.
    private var measuring: [Task<Void, Never>] = []
    private(set) var tasks: [UInt64: Task<Void, Never>] = [:]
    private var nextTask: UInt64 = 0

    /// A job of which memory holds something: it runs, or its record or log is not in the stores yet.
    struct HotJob {
        let job: Job
        /// The highest version that the job store has.
        var storedVersion: UInt64
        var isLogComplete: Bool
        /// The directory of the shim that has the job; nil before it is known.
        var supervisor: String?
        /// Whether the job is on its way to a shim.
        var isLaunching = false
        /// Whether a shim that is gone left a record of the job's exit.
        var hasExitRecord = false
        /// Whether this engine accepted the job.
        var isOurs = false
        /// Whether samples may come, or wait for their store.
        var awaitsMetrics = false
        /// Begins to read what the job uses.
        var sampling: Task<Void, Never>?
        /// Reads it for the last time, and goes on with the job's end.
        var concluding: Task<Void, Never>?
        /// Brings the log to its store.
        var shipping: Task<Void, Never>?
        /// Writes the end of a log that has no pump any more.
        var ending: Task<Void, Never>?
    }

    /// Takes the data directory, opens the stores and the journal; `start` begins the work.
    ///
    /// `jobs` and `logs` are evaluated once the data directory is taken: opening a store may repair what another daemon
    /// is writing. Throws what they throw, and ``EngineError``.
    public init(
        configuration: EngineConfiguration, jobs: @autoclosure @Sendable () throws -> any JobStore,
        logs: @autoclosure @Sendable () throws -> any LogStore,
        metrics: @autoclosure @Sendable () throws -> any MetricStore, logger: Logger
    ) throws {
        self.configuration = configuration
        self.logger = logger
        directory = try DataDirectory(path: configuration.dataDirectory, nodeID: configuration.nodeID)
        jobStore = try jobs()
        logStore = try logs()
        metricStore = try metrics()
        identity = directory.identity
        runDirectory = "\(configuration.runDirectory)/\(directory.identity.incarnation.prefix(8))"
        key = try SecretKey(path: "\(configuration.dataDirectory)/node.key")
        journal = try StateJournal(directory: "\(configuration.dataDirectory)/journal")
        for place in journal.damage {
            logger.error("job records in the journal are damaged", metadata: ["place": "\(place)"])
        }
        do throws(SystemCallError) {
            try Directory.create(configuration.outboxDirectory)
            try Directory.create(runDirectory)
            cgroups = try JobEngine.cgroupDriver(configuration, name: String(identity.incarnation.prefix(8)))
        } catch {
            throw EngineError(.internal, "\(error)")
        }
        watcher = try OutboxWatcher(root: configuration.outboxDirectory, logger: logger)
        outboxMonitor = OutboxMonitor(configuration, logger: logger)
        metricOutbox = MetricOutbox(
            root: configuration.outboxDirectory, maxAge: configuration.maxShipAge, logger: logger)
        sampler = MetricSampler(outbox: metricOutbox, interval: configuration.metricInterval)
        ranges = IDRanges(first: configuration.firstID, count: configuration.idRanges)
        workDirectories = WorkDirectories(configuration)
        planner = try JobEngine.planner(configuration, key: key, runDirectory: runDirectory, logger: logger)
    }

    static func cgroupDriver(
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
        case .legacy:
            guard configuration.cgroupBase.isEmpty else {
                throw SystemCallError("cgroup.baseDir needs cgroup v2, this host has v1", code: ENOTSUP)
            }
            return try LegacyCgroups(host: host, name: name)
        case .none: return NoCgroups()
        }
    }

    /// Recovers what an earlier daemon left, then takes jobs.
    ///
    /// Throws `unavailable` where the job store cannot say which jobs this node has: nothing was done then, and it may
    /// be called again. With `startsDegraded` that is asked later, and the journal says which jobs there are.
    public func start() async throws(EngineError) {
        guard !isClosed, shipper == nil else { throw EngineError(.failedPrecondition, "the engine was started before") }
        var found = await journaledRecords()
        try await addStoredRecordsAtStart(to: &found)
        let left = findLeftovers()
        let shipper = StateShipper(
            journal: journal, jobs: jobStore, logs: logStore, metrics: metricStore, logger: logger,
            removeFiles: { [weak self] job in await self?.removeFiles(of: job) ?? false },
            didShip: { [weak self] entries in await self?.didShip(entries) })
        self.shipper = shipper
        let fleet = ShimFleet(
            configuration: configuration, runDirectory: runDirectory, cgroups: cgroups, logger: logger,
            report: { [weak self] event in await self?.handle(event) })
        self.fleet = fleet
        try await recover(found, fleet: fleet, shipper: shipper)
        if openQuestions == nil {
            await sweep(left, strayOutboxes: found.strayOutboxes)
        } else {
            inBackground { await self.askAgain(left) }
        }
        shipping = Task { await shipper.run() }
        let metricShipper = MetricShipper(
            outbox: metricOutbox, store: metricStore, condition: metricCondition, logger: logger,
            didComplete: { [weak self] job in await self?.metricsAreShipped(job) })
        measuring = [
            Task { await sampler.run() }, Task { await metricShipper.run() }, Task { await outboxMonitor.run() },
        ]
        isAccepting = true
    }

    /// Stops taking jobs and lets go of everything; running jobs go on unless `stoppingJobs`.
    ///
    /// Takes less than two seconds, and where jobs are stopped the grace period more, whatever a store or a shim does.
    /// What waits for a store stays in the journal and the outboxes for the next daemon.
    public func shutdown(stoppingJobs: Bool) async {
        isAccepting = false
        if stoppingJobs { await stopJobs() }
        isClosed = true
        shipper?.close()
        if let shipping { await Task.finish([shipping], within: .milliseconds(700)) }
        journal.close()
        watcher.close()
        metricOutbox.close()
        await fleet?.close(awaitingEnds: hot.values.allSatisfy { $0.job.record.status.isTerminal })
        shipping?.cancel()
        let left = Array(tasks.values) + measuring
        for task in left { task.cancel() }
        await Task.finish(left, within: .milliseconds(700))
        cgroups.removeIfEmpty()
        directory.release()
    }

    /// Stops every job and waits until all have ended, or the grace period is long over.
    private func stopJobs() async {
        let jobs = hot.values.map(\.job).filter { !$0.record.status.isTerminal }
        let ends = jobs.map { job in
            job.requestStop()
            return Task<Void, Never> { await job.waitForEnd() }
        }
        await Task.finish(ends, within: .nanoseconds(max(0, configuration.stopGrace)) + .seconds(1))
        for end in ends { end.cancel() }
    }

    /// Runs `body` beside everything else, until it ends or the engine is shut down.
    @discardableResult
    func inBackground(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        nextTask += 1
        let number = nextTask
        let task = Task {
            await body()
            self.tasks[number] = nil
        }
        tasks[number] = task
        if isClosed { task.cancel() }
        return task
    }

    // MARK: Hot jobs

    /// Takes a job into memory and begins to serve it.
    @discardableResult
    func admit(
        _ record: JobRecord, storedVersion: UInt64, isLogComplete: Bool, awaitsMetrics: Bool, isLaunching: Bool = false
    ) throws(EngineError) -> Job {
        guard let shipper, !isClosed else { throw EngineError(.unavailable, "the node is shutting down") }
        let id = record.id
        let job = Job(record, grace: configuration.stopGrace, journal: journal, shipper: shipper, logger: logger)
        hot[id] = HotJob(
            job: job, storedVersion: storedVersion, isLogComplete: isLogComplete, isLaunching: isLaunching,
            isOurs: isLaunching, awaitsMetrics: awaitsMetrics)
        if !isLogComplete { startShipping(id) }
        // A new job has taken its own.
        if !isLaunching, let base = record.lease?.idRange { ranges.take(base) }
        if !record.status.isTerminal {
            unfinished.insert(id)
            let base = record.lease?.idRange
            inBackground {
                if let last = await job.run() { await self.didEnd(last, idRange: base) }
            }
        }
        return job
    }

    /// Begins to bring the job's output to the store.
    func startShipping(_ id: JobID) {
        let shipping = inBackground { await self.shipLog(of: id) }
        hot[id]?.shipping = shipping
    }

    private func shipLog(of id: JobID) async {
        let durability = hot[id]?.job.record.specification.durability ?? configuration.durability
        let cursor = OutboxCursor(root: configuration.outboxDirectory, job: id)
        let shipper = LogShipper(
            job: id, durability: durability, store: logStore, cursor: cursor, watcher: watcher,
            condition: logCondition, logger: logger,
            didRelease: { [weak self] in await self?.didRelease(id) })
        // The outbox goes as a whole, so that a part of it never looks like all of it.
        guard await shipper.run(), await waitForMetrics(of: id) else { return }
        var backOff = BackOff()
        while true {
            do throws(StorageError) {
                try await metricOutbox.remove(id)
                try await cursor.removeAll()
                break
            } catch {
                logger.warning("an outbox remains", metadata: ["jobId": "\(id)", "error": "\(error)"])
                guard await backOff.wait() else { return }
            }
        }
        await didRelease(id)
        logIsComplete(id)
    }

    /// Lets the pump count anew what a job's outbox takes.
    private func didRelease(_ id: JobID) async {
        await fleet?.released(ShimJob(id))
    }

    /// The job has no more output to ship.
    func logIsComplete(_ id: JobID) {
        hot[id]?.isLogComplete = true
        forgetIfCold(id)
        watcher.notify(id)
    }

    private func didEnd(_ record: JobRecord, idRange: UInt32?) async {
        if let idRange { ranges.release(idRange) }
        unfinished.remove(record.id)
        logger.info(
            "job ended",
            metadata: [
                "jobId": "\(record.id)", "status": "\(record.status.rawValue)", "exitCode": "\(record.exitCode)",
                "reason": "\(record.reason)",
            ])
        if Directory.exists(stagingDirectory(of: record.id)) { await stage(for: record.id).discard() }
        if keepsFiles(record) {
            inBackground { await self.workDirectories.close(record.id) }
        } else {
            await removeWorkDirectory(of: record.id)
        }
        forgetIfCold(record.id)
    }

    private func didShip(_ entries: [JournalEntry]) {
        for entry in entries {
            switch entry {
            case .record(let record):
                guard let stored = hot[record.id]?.storedVersion else { continue }
                hot[record.id]?.storedVersion = max(stored, record.version)
                forgetIfCold(record.id)
            case .deleted(let id, _):
                hot[id] = nil
                deleted.remove(id)
                watcher.notify(id)
            }
        }
    }

    private func forgetIfCold(_ id: JobID) {
        guard let entry = hot[id], !deleted.contains(id), !unfinished.contains(id) else { return }
        let record = entry.job.record
        guard record.status.isTerminal, entry.isLogComplete, entry.storedVersion >= record.version else { return }
        hot[id] = nil
        if journal.release(id) { inBackground { await self.journal.removeShipped() } }
    }

    /// Removes what the engine keeps of a deleted job; true when all is gone.
    private func removeFiles(of id: JobID) async -> Bool {
        let tasks = [hot[id]?.shipping, hot[id]?.ending].compactMap { $0 }
        for task in tasks { task.cancel() }
        do {
            try await metricOutbox.remove(id)
            try await OutboxCursor(root: configuration.outboxDirectory, job: id).removeAll()
            await didRelease(id)
            try await workDirectories.remove(id)
            try Directory.removeTree("\(configuration.dataDirectory)/staging/\(id)")
            return true
        } catch {
            logger.error("files of a deleted job remain", metadata: ["jobId": "\(id)", "error": "\(error)"])
            return false
        }
    }

    /// Whether what the job leaves in its work directory stays until the job is deleted.
    nonisolated func keepsFiles(_ record: JobRecord) -> Bool {
        record.specification.keepsWork || configuration.workOnDisk
    }

    private func removeWorkDirectory(of id: JobID) async {
        do {
            try await workDirectories.remove(id)
        } catch {
            // The job's deletion tries again.
            logger.warning("a work directory remains", metadata: ["jobId": "\(id)", "error": "\(error)"])
        }
    }

    func removeOutbox(of id: JobID) async {
        do {
            try await OutboxCursor(root: configuration.outboxDirectory, job: id).removeAll()
            await didRelease(id)
        } catch {
            // The next start finds it.
            logger.warning("an outbox remains", metadata: ["jobId": "\(id)", "error": "\(error)"])
        }
    }
}
