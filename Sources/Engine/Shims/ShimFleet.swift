import CLinux
import Glibc
import Kernel
import Logging
import Sandbox
import Storage

/// The node's shims: the newest takes new jobs, older ones serve theirs to the end.
actor ShimFleet {
    /// What the fleet reports; of one shim in order.
    enum Event: Sendable {
        /// A shim answers, and has these jobs: at the start, and where its connection was made anew.
        case found(Job.Shim, jobs: [ShimJobState])
        /// A shim said something.
        case shim(ShimEvent)
        /// A shim is gone; these are the exits that it had recorded.
        case lost(directory: String, exits: [ExitRecord])
    }

    /// How long a start waits for a shim that is there and does not answer.
    private static let patience = Duration.seconds(5)
    /// How long the end of shims without jobs is waited for.
    private static let endPatience = Duration.milliseconds(300)

    private let runDirectory: String
    private let program: String
    private let budget: OutboxBudget
    private let cgroups: any CgroupDriver
    private let logger: Logger
    private let report: @Sendable (Event) async -> Void
    private var connections: [String: ShimConnection] = [:]
    private var retired: Set<String> = []
    private var current: Job.Shim?
    private var starting: Task<Job.Shim, any Error>?
    private var isClosed = false
    /// Whether the connections that remain were closed here.
    private var hasLetGo = false
    private var followers: [String: Task<Void, Never>] = [:]

    init(
        configuration: EngineConfiguration, runDirectory: String, cgroups: any CgroupDriver, logger: Logger,
        report: @escaping @Sendable (Event) async -> Void
    ) {
        self.runDirectory = runDirectory
        program = configuration.shimProgram
        budget = OutboxBudget(
            root: configuration.outboxDirectory, nodeBytes: configuration.nodeOutboxLimit,
            reserveBytes: configuration.reserveBytes)
        self.cgroups = cgroups
        self.logger = logger
        self.report = report
    }

    /// Connects to the shims of an earlier daemon, and reports those that answer and those that are dead.
    ///
    /// Returns the ones that neither answered yet nor are dead: a task ends with the answer or the death.
    func adopt() async throws(EngineError) -> [Task<Void, Never>] {
        var greetings: [String: Task<Void, Never>] = [:]
        for shim in ShimProgram.existing(in: runDirectory) {
            do throws(SystemCallError) {
                greetings[shim.directory] = try connect(shim, pid: nil)
            } catch {
                guard [ENOENT, ECONNREFUSED].contains(error.code) else {
                    throw EngineError(.unavailable, "cannot reach a job supervisor: \(error)")
                }
                await bury(shim)
            }
        }
        await Task.finish(Array(greetings.values), within: ShimFleet.patience)
        for directory in greetings.keys where waiting.contains(directory) {
            logger.error("a job supervisor does not answer", metadata: ["directory": "\(directory)"])
        }
        return greetings.filter { waiting.contains($0.key) }.map(\.value)
    }

    /// The shim for new jobs, started where there is none.
    func newest() async throws(EngineError) -> Job.Shim {
        guard !isClosed else { throw EngineError(.unavailable, "the node is shutting down") }
        // Its end may not have been noticed yet.
        if let current, current.connection.isOpen { return current }
        let task = starting ?? Task { try await self.start() }
        starting = task
        defer { starting = nil }
        do {
            return try await task.value
        } catch {
            throw EngineError(.unavailable, "cannot start the job supervisor: \(error)")
        }
    }

    /// Tells the shim that serves a job that segments were removed; any pump may count them.
    func released(_ job: ShimJob) {
        for connection in connections.values { connection.send(.released(job)) }
    }

    /// Lets the shims go on without a daemon; those without a job end. With `awaitingEnds` that is waited for.
    func close(awaitingEnds: Bool) async {
        isClosed = true
        for connection in connections.values { connection.send(.dismiss) }
        if awaitingEnds { await Task.finish(Array(followers.values), within: ShimFleet.endPatience) }
        hasLetGo = true
        for connection in connections.values { connection.close() }
    }

    private func start() async throws -> Job.Shim {
        try Directory.create(runDirectory)
        let (shim, pid) = try ShimProgram.start(program, in: runDirectory)
        let process: FileDescriptor
        do {
            try cgroups.placeShim(pid: pid, name: shim.name)
            // Ready when its socket is there: the watch tells, a death is told by the process itself.
            process = FileDescriptor(owning: try check(joblet_pidfd_open(pid), "pidfd_open"))
            try await ShimReadiness.wait(for: shim, process: process)
            await (try connect(shim, pid: pid)).value
        } catch {
            // It has no job yet.
            kill(pid, SIGKILL)
            await ShimReadiness.reap(pid)
            throw error
        }
        guard let current, current.directory == shim.directory else {
            throw EngineError(.unavailable, "the job supervisor does not answer; see \(shim.directory)/log")
        }
        logger.info("job supervisor started", metadata: ["pid": "\(pid)", "directory": "\(shim.directory)"])
        return current
    }

    // MARK: Connections

    /// Shims that were greeted and have not answered.
    private var waiting: Set<String> = []

    /// Connects to a shim; the task ends once its answer was reported, or its death.
    private func connect(_ shim: ShimProgram, pid: Int32?) throws(SystemCallError) -> Task<Void, Never> {
        let connection = try ShimConnection(path: shim.controlPath)
        if isClosed {
            connection.send(.dismiss)
            connection.close()
        }
        connections[shim.directory] = connection
        waiting.insert(shim.directory)
        return Task { await self.greet(connection, shim, pid) }
    }

    private func greet(_ connection: ShimConnection, _ shim: ShimProgram, _ known: Int32?) async {
        var events = connection.events.makeAsyncIterator()
        guard case .welcome(let version, let pid, let jobs) = await events.next() else {
            waiting.remove(shim.directory)
            connections[shim.directory] = nil
            guard !isClosed else { return }
            logger.error("the job supervisor is gone", metadata: ["directory": "\(shim.directory)"])
            await bury(shim, known)
            return
        }
        let handle = Job.Shim(connection: connection, directory: shim.directory)
        if version == ShimRequest.version {
            connection.send(.configure(budget))
            if shim.programIdentity == ShimProgram.identity(of: program) {
                current = handle
            } else {
                retired.insert(shim.directory)
                connection.send(.retire)
            }
        } else {
            logger.error("a job supervisor speaks another protocol", metadata: ["pid": "\(pid)"])
        }
        // Before any of its events: what it has now is older than what it says next.
        await report(.found(handle, jobs: jobs))
        waiting.remove(shim.directory)
        followers[shim.directory] = Task { await self.follow(connection, shim, pid) }
    }

    private func follow(_ connection: ShimConnection, _ shim: ShimProgram, _ pid: Int32) async {
        for await event in connection.events { await report(.shim(event)) }
        connections[shim.directory] = nil
        followers[shim.directory] = nil
        if current?.connection === connection { current = nil }
        guard !isClosed else {
            // It hung up and ends.
            if !hasLetGo { await ShimReadiness.reap(pid) }
            return
        }
        // It may live: someone else took its one connection, or a message was malformed.
        if let greeting = try? connect(shim, pid: pid) { return await greeting.value }
        if retired.remove(shim.directory) != nil {
            logger.info("an older job supervisor has ended", metadata: ["pid": "\(pid)"])
        } else {
            logger.error("the job supervisor is gone", metadata: ["pid": "\(pid)", "directory": "\(shim.directory)"])
        }
        await bury(shim, pid)
    }

    /// Reports what a dead shim recorded and removes its directory.
    private func bury(_ shim: ShimProgram, _ pid: Int32? = nil) async {
        shim.end()
        if let pid { await ShimReadiness.reap(pid) }
        await report(.lost(directory: shim.directory, exits: shim.recordedExits()))
        do throws(SystemCallError) {
            try Directory.removeTree(shim.directory)
        } catch {
            logger.warning("files of a job supervisor remain", metadata: ["error": "\(error)"])
        }
    }
}
