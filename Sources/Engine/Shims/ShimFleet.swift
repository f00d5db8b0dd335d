import CLinux
import Glibc
import Kernel
import Logging
import Sandbox
import Storage

/// The node's shims: the newest takes new jobs, older ones serve theirs to the end.
actor ShimFleet {
    /// What the fleet reports.
    enum Event: Sendable {
        /// A shim said something.
        case shim(ShimEvent, Job.Shim)
        /// A shim is gone; these are the exits that it had recorded.
        case lost(Job.Shim, exits: [ExitRecord])
    }

    private let runDirectory: String
    private let program: String
    private let budget: OutboxBudget
    private let cgroups: any CgroupDriver
    private let logger: Logger
    private let report: @Sendable (Event) async -> Void
    private var connections: [String: ShimConnection] = [:]
    private var current: Job.Shim?
    private var starting: Task<Job.Shim, any Error>?
    private var isClosed = false

    init(
        configuration: EngineConfiguration, runDirectory: String, cgroups: any CgroupDriver, logger: Logger,
        report: @escaping @Sendable (Event) async -> Void
    ) {
        self.runDirectory = runDirectory
        program = configuration.shimProgram
        budget = OutboxBudget(
            root: configuration.outboxDirectory,
            nodeBytes: configuration.maxNodeOutboxBytes
                - min(configuration.maxNodeOutboxBytes, configuration.reserveBytes))
        self.cgroups = cgroups
        self.logger = logger
        self.report = report
    }

    /// What a shim that was found at the start has.
    struct Found: Sendable {
        let shim: Job.Shim
        let jobs: [ShimJobState]
    }

    /// Connects to the shims of an earlier daemon.
    ///
    /// Returns the living with their jobs, and the exits that dead ones had recorded.
    func adopt() async -> (living: [Found], exits: [ExitRecord]) {
        var living: [Found] = []
        var exits: [ExitRecord] = []
        for shim in ShimProgram.existing(in: runDirectory) {
            if let found = await connect(shim) {
                living.append(found)
                if shim.programIdentity == ShimProgram.identity(of: program) {
                    current = found.shim
                } else {
                    connections[shim.directory]?.send(.retire)
                }
            } else {
                exits += shim.recordedExits()
                try? Directory.removeTree(shim.directory)
            }
        }
        return (living, exits)
    }

    /// The shim for new jobs, started where there is none.
    func newest() async throws(EngineError) -> Job.Shim {
        if let current { return current }
        let task = starting ?? Task { try await self.start() }
        starting = task
        do {
            let shim = try await task.value
            starting = nil
            return shim
        } catch {
            starting = nil
            throw EngineError(.unavailable, "cannot start the job supervisor: \(error)")
        }
    }

    /// Tells the shim that serves a job that segments were removed; any pump may count them.
    func released(_ job: ShimJob) {
        for connection in connections.values { connection.send(.released(job)) }
    }

    /// Lets the shims go on without a daemon.
    func close() {
        isClosed = true
        for connection in connections.values { connection.close() }
    }

    private func start() async throws -> Job.Shim {
        try Directory.create(runDirectory)
        let (shim, pid) = try ShimProgram.start(program, in: runDirectory)
        try cgroups.placeShim(pid: pid, name: shim.name)
        // Ready when its socket is there: the watch tells, a death is told by the process itself.
        let process = FileDescriptor(owning: try check(joblet_pidfd_open(pid), "pidfd_open"))
        try await ShimReadiness.wait(for: shim, process: process)
        guard let found = await connect(shim) else {
            throw EngineError(.unavailable, "the job supervisor does not answer; see \(shim.directory)/log")
        }
        logger.info("job supervisor started", metadata: ["pid": "\(pid)", "directory": "\(shim.directory)"])
        current = found.shim
        return found.shim
    }

    private func connect(_ shim: ShimProgram) async -> Found? {
        guard let connection = try? ShimConnection(path: shim.controlPath) else { return nil }
        var events = connection.events.makeAsyncIterator()
        guard case .welcome(let version, let pid, let jobs) = await events.next() else { return nil }
        guard version == ShimRequest.version else {
            logger.error("a job supervisor speaks another protocol", metadata: ["pid": "\(pid)"])
            return nil
        }
        connection.send(.configure(budget))
        connections[shim.directory] = connection
        let handle = Job.Shim(connection: connection, directory: shim.directory)
        Task { await self.follow(connection, shim, handle, pid) }
        return Found(shim: handle, jobs: jobs)
    }

    private func follow(_ connection: ShimConnection, _ shim: ShimProgram, _ handle: Job.Shim, _ pid: Int32) async {
        for await event in connection.events { await report(.shim(event, handle)) }
        connections[shim.directory] = nil
        if current?.directory == shim.directory { current = nil }
        guard !isClosed else { return }
        // A child of ours would stay a zombie.
        waitpid(pid, nil, WNOHANG)
        logger.error("the job supervisor is gone", metadata: ["pid": "\(pid)", "directory": "\(shim.directory)"])
        await report(.lost(handle, exits: shim.recordedExits()))
        try? Directory.removeTree(shim.directory)
    }
}
