import Glibc
import Kernel
import Logging
import Outbox
import Storage

/// Measures the room that outboxes take, and tells in the log when it is used up: then jobs wait, or lose output.
actor OutboxMonitor {
    /// What is used, and what is left.
    struct Room: Sendable, Equatable {
        /// Bytes of all outboxes, index included, and at how many of them no more are taken.
        var bytes: UInt64 = 0
        var limit: UInt64
        /// Bytes that are free on the file system of the outboxes.
        var free: UInt64
        /// Whether that is no more than the reserve: then the pumps take nothing, and no job begins.
        var isAtReserve: Bool
        /// Jobs that have used up their own part, and their bytes.
        var full: [JobID: UInt64] = [:]

        /// Whether the jobs that hold most are taken no more from, or none is.
        var isNodeFull: Bool { bytes >= limit - limit / 8 }
    }

    private static let interval = Duration.seconds(10)

    private let thread = BlockingExecutor.shared.thread()
    private let configuration: EngineConfiguration
    private let logger: Logger
    private var known: Room?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ configuration: EngineConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Looks now and then until the task is cancelled.
    func run() async {
        while true {
            report(room())
            // Cancelled with the engine.
            do { try await Task.sleep(for: OutboxMonitor.interval) } catch { return }
        }
    }

    /// What is used now.
    func room() -> Room {
        let root = configuration.outboxDirectory
        var room = Room(
            limit: configuration.nodeOutboxLimit, free: Directory.freeBytes(at: root),
            isAtReserve: (try? Directory.isAtReserve(configuration.reserveBytes, at: root)) ?? false)
        for (job, bytes) in OutboxUsage.all(root: root) {
            room.bytes += UInt64(bytes)
            guard UInt64(bytes) >= configuration.maxJobOutboxBytes else { continue }
            room.full[JobID(high: job.high, low: job.low)] = UInt64(bytes)
        }
        return room
    }

    /// Logs what has changed since the last look.
    private func report(_ room: Room) {
        let last = known ?? Room(limit: room.limit, free: .max, isAtReserve: false)
        known = room
        for (job, bytes) in room.full where last.full[job] == nil {
            logger.warning(
                "a job's outbox is full: the job waits or loses output, as its policy says",
                metadata: ["jobId": "\(job)", "bytes": "\(bytes)"])
        }
        for job in last.full.keys where room.full[job] == nil {
            logger.info("a job's outbox has room again", metadata: ["jobId": "\(job)"])
        }
        if room.isNodeFull != last.isNodeFull {
            logger.log(
                level: room.isNodeFull ? .error : .info,
                room.isNodeFull ? "the outboxes are full: jobs wait or lose output" : "the outboxes have room again",
                metadata: ["bytes": "\(room.bytes)", "limit": "\(room.limit)"])
        }
        if room.isAtReserve != last.isAtReserve {
            logger.log(
                level: room.isAtReserve ? .error : .info,
                room.isAtReserve
                    ? "the disk of the outboxes is nearly full: jobs wait or lose output, and none begins"
                    : "the disk of the outboxes has room again",
                metadata: ["path": "\(configuration.outboxDirectory)", "freeBytes": "\(room.free)"])
        }
    }
}
