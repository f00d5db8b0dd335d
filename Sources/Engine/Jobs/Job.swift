import Glibc
import Kernel
import Logging
import Sandbox
import Storage
import Synchronization

/// One job that is not over: its events are decided here, one after another.
actor Job {
    /// The shim that runs a job.
    struct Shim: Sendable {
        let connection: ShimConnection
        let directory: String
    }

    private struct Waiter {
        let isDone: @Sendable (JobRecord) -> Bool
        let continuation: CheckedContinuation<JobRecord, Never>
    }

    /// The longest that a task sleeps, in nanoseconds: a century.
    private static let longestSleep: Int64 = 100 * 366 * 86_400 * 1_000_000_000

    /// The job.
    nonisolated let id: JobID
    private(set) var lifecycle: JobLifecycle
    private let grace: UInt64
    private let journal: StateJournal
    private let shipper: StateShipper
    private let logger: Logger
    private let published: Mutex<JobRecord>
    private nonisolated let inputs: AsyncStream<JobLifecycle.Event>.Continuation
    private let stream: AsyncStream<JobLifecycle.Event>
    private var waiters: [UInt64: Waiter] = [:]
    private var nextWaiter: UInt64 = 0
    private var isOver: Bool
    private var shim: Shim?
    private var hasSentStop = false
    private var isStopRequested = false
    private var deadline: Task<Void, Never>?

    /// The job with that record; `grace` is the time between SIGTERM and SIGKILL, in nanoseconds.
    init(_ record: JobRecord, grace: Int64, journal: StateJournal, shipper: StateShipper, logger: Logger) {
        id = record.id
        lifecycle = JobLifecycle(record)
        published = Mutex(record)
        isOver = record.status.isTerminal
        self.grace = UInt64(max(0, grace))
        self.journal = journal
        self.shipper = shipper
        self.logger = logger
        (stream, inputs) = AsyncStream.makeStream()
    }

    /// The record as everyone may see it: kept in the journal.
    nonisolated var record: JobRecord { published.withLock { $0 } }

    nonisolated var shimJob: ShimJob { ShimJob(id) }

    /// Takes an event; events are applied in the order in which they were posted.
    nonisolated func post(_ event: JobLifecycle.Event) {
        inputs.yield(event)
    }

    /// Applies events until the job has ended, whose last record it returns, or the task is cancelled: then nil.
    func run() async -> JobRecord? {
        for await event in stream {
            guard await handle(event) else { break }
            if lifecycle.record.status.isTerminal { break }
        }
        inputs.finish()
        deadline?.cancel()
        // Nothing changes any more: who still waits is told what there is.
        isOver = true
        for number in waiters.keys { resume(number) }
        let record = record
        return record.status.isTerminal ? record : nil
    }

    /// False where the task was cancelled before the change was recorded.
    private func handle(_ event: JobLifecycle.Event) async -> Bool {
        guard lifecycle.apply(event) else {
            pursueEnd()
            return true
        }
        let record = lifecycle.record
        // The end of a job waits for no disk.
        if record.status == .running {
            startDeadline()
            pursueEnd()
        }
        var backOff = BackOff()
        while true {
            do throws(EngineError) {
                shipper.enqueue(
                    try await journal.append(.record(record), durability: record.specification.durability))
                break
            } catch {
                // The event is not lost meanwhile: the shim keeps an exit until it is acknowledged.
                guard await backOff.wait() else { return false }
                logger.error("a state change waits for the disk", metadata: ["jobId": "\(id)", "error": "\(error)"])
            }
        }
        let isNew = self.record.status != record.status
        published.withLock { $0 = record }
        if isNew, record.status == .running { logStart(of: record) }
        if record.status.isTerminal { shim?.connection.send(.acknowledge(shimJob)) }
        for (number, waiter) in waiters where waiter.isDone(record) { resume(number) }
        return true
    }

    private func logStart(of record: JobRecord) {
        let command = ([record.specification.command] + record.specification.arguments).joined(separator: " ")
        let duration = max(0, (record.startedAt ?? record.createdAt) - record.createdAt) / 1_000_000
        logger.info(
            "job started successfully",
            metadata: [
                "jobId": "\(id)", "pid": "\(record.pid)", "command": "\(command.prefix(256))",
                "duration": "\(duration)ms",
            ])
    }

    /// Where the job runs; known before it is started there, or when it is adopted.
    func attach(_ shim: Shim) {
        self.shim = shim
        hasSentStop = false
        if lifecycle.record.status == .running, deadline == nil { startDeadline() }
        pursueEnd()
    }

    /// Asks for the end; the job is stopped as soon as it runs.
    nonisolated func requestStop() {
        post(.stopRequested)
        // Events wait for one another, and each for the disk.
        Task { await self.stopSoon() }
    }

    private func stopSoon() {
        isStopRequested = true
        sendStop()
    }

    /// Sends the wish for an end once: a repeated one would give the job its grace period again.
    private func pursueEnd() {
        if isStopRequested || lifecycle.endWanted != nil { sendStop() }
    }

    private func sendStop() {
        guard lifecycle.record.status == .running, !hasSentStop, let shim else { return }
        hasSentStop = shim.connection.send(.stop(shimJob, grace: grace))
    }

    private func startDeadline() {
        let record = lifecycle.record
        guard let timeout = record.specification.timeout, let startedAt = record.startedAt else { return }
        // The process knows its age on a clock that nobody steps.
        let age = ProcessAge.nanoseconds(of: record.pid) ?? max(0, SystemClock.now() - startedAt)
        let left = min(max(0, timeout - age), Job.longestSleep)
        deadline?.cancel()
        deadline = Task { [weak self, inputs] in
            // ContinuousClock counts the time the host sleeps, as a deadline should. Cancelled at the job's end.
            do { try await Task.sleep(for: .nanoseconds(left), clock: .continuous) } catch { return }
            inputs.yield(.deadlinePassed)
            // As for a stop: an earlier event may wait for the disk.
            await self?.stopSoon()
        }
    }

    /// Waits until the record satisfies `isDone`; returns early, with the record as it is, where the calling task is
    /// cancelled or nothing will change the record here any more.
    func wait(until isDone: @escaping @Sendable (JobRecord) -> Bool) async -> JobRecord {
        nextWaiter += 1
        let number = nextWaiter
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if isDone(record) || isOver || Task.isCancelled {
                    continuation.resume(returning: record)
                } else {
                    waiters[number] = Waiter(isDone: isDone, continuation: continuation)
                }
            }
        } onCancel: {
            Task { await self.resume(number) }
        }
    }

    /// Waits until the job has ended, as `wait` does.
    @discardableResult
    func waitForEnd() async -> JobRecord { await wait { $0.status.isTerminal } }

    private func resume(_ number: UInt64) {
        waiters.removeValue(forKey: number)?.continuation.resume(returning: record)
    }
}

/// How long processes exist.
enum ProcessAge {
    /// Nanoseconds since a process was made, host sleep included (proc(5), `starttime`); nil where there is none.
    static func nanoseconds(of pid: Int32) -> Int64? {
        guard pid > 0, let text = try? readText("/proc/\(pid)/stat"), let parenthesis = text.lastIndex(of: ")")
        else { return nil }
        // The second field, the name, may hold anything; `starttime` is the 22nd.
        let fields = text[text.index(after: parenthesis)...].split(separator: " ")
        guard fields.count > 19, let ticks = Int64(fields[19]) else { return nil }
        let perSecond = Int64(sysconf(Int32(_SC_CLK_TCK)))
        return max(0, SystemClock.sinceBoot() - ticks * (1_000_000_000 / max(1, perSecond)))
    }
}

extension ShimJob {
    init(_ id: JobID) {
        self.init(high: id.words.high, low: id.words.low)
    }
}

extension JobID {
    init(_ job: ShimJob) {
        self.init(high: job.high, low: job.low)
    }
}
