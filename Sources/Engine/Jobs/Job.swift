import Kernel
import Logging
import Sandbox
import Storage
import Synchronization

/// One job that is not over: its events are decided here, one after another.
actor Job {
    /// The job.
    nonisolated let id: JobID
    private var lifecycle: JobLifecycle
    private let journal: StateJournal
    private let shipper: StateShipper
    private let logger: Logger
    private let published: Mutex<JobRecord>
    private nonisolated let inputs: AsyncStream<JobLifecycle.Event>.Continuation
    private let stream: AsyncStream<JobLifecycle.Event>
    private var waiters: [(isDone: @Sendable (JobRecord) -> Bool, continuation: CheckedContinuation<JobRecord, Never>)] = []
    private(set) var shim: Shim?
    private var deadline: Task<Void, Never>?

    /// The shim that runs a job.
    struct Shim: Sendable {
        let connection: ShimConnection
        let directory: String
    }

    init(_ record: JobRecord, journal: StateJournal, shipper: StateShipper, logger: Logger) {
        id = record.id
        lifecycle = JobLifecycle(record)
        published = Mutex(record)
        self.journal = journal
        self.shipper = shipper
        self.logger = logger
        (stream, inputs) = AsyncStream.makeStream()
    }

    /// The record as everyone may see it: kept in the journal.
    nonisolated var record: JobRecord { published.withLock { $0 } }

    nonisolated var shimJob: ShimJob { ShimJob(high: id.words.high, low: id.words.low) }

    /// Takes an event; events are applied in the order in which they were posted.
    nonisolated func post(_ event: JobLifecycle.Event) {
        inputs.yield(event)
    }

    /// Applies events until the job has ended; then calls `ended`.
    func run(ended: @Sendable (JobRecord) async -> Void) async {
        for await event in stream {
            await handle(event)
            if lifecycle.record.status.isTerminal { break }
        }
        deadline?.cancel()
        await ended(lifecycle.record)
    }

    private func handle(_ event: JobLifecycle.Event) async {
        guard lifecycle.apply(event) else {
            if lifecycle.endWanted != nil { pursueEnd() }
            return
        }
        let record = lifecycle.record
        var backOff = BackOff()
        while true {
            do throws(EngineError) {
                shipper.enqueue(
                    try await journal.append(.record(record), durability: record.specification.durability))
                break
            } catch {
                // The event is not lost meanwhile: the shim keeps an exit until it is acknowledged.
                logger.error("a state change waits for the disk", metadata: ["job": "\(id)", "error": "\(error)"])
                await backOff.wait()
            }
        }
        published.withLock { $0 = record }
        if record.status.isTerminal { shim?.connection.send(.acknowledge(shimJob)) }
        if record.status == .running {
            startDeadline(record)
            if lifecycle.endWanted != nil { pursueEnd() }
        }
        let done = waiters.filter { $0.isDone(record) }
        waiters.removeAll { $0.isDone(record) }
        for waiter in done { waiter.continuation.resume(returning: record) }
    }

    /// Where the job runs; known before it is started there, or when it is adopted.
    func attach(_ shim: Shim) {
        self.shim = shim
    }

    var connection: ShimConnection? { shim?.connection }

    private var grace: UInt64 = 0

    /// Asks for the end; the job is stopped as soon as it runs.
    func requestStop(grace: Int64) {
        self.grace = UInt64(max(0, grace))
        post(.stopRequested)
    }

    /// Sets the grace period that a deadline uses.
    func setGrace(_ grace: Int64) {
        self.grace = UInt64(max(0, grace))
    }

    private func pursueEnd() {
        guard lifecycle.record.status == .running else { return }
        shim?.connection.send(.stop(shimJob, grace: grace))
    }

    private func startDeadline(_ record: JobRecord) {
        guard let timeout = record.specification.timeout, let startedAt = record.startedAt else { return }
        let left = max(0, startedAt + timeout - SystemClock.now())
        deadline = Task { [weak self] in
            // ContinuousClock counts the time the host sleeps, as a deadline should.
            guard (try? await Task.sleep(for: .nanoseconds(left), clock: .continuous)) != nil else { return }
            self?.post(.deadlinePassed)
        }
    }

    /// Waits until the record satisfies `isDone`.
    func wait(until isDone: @escaping @Sendable (JobRecord) -> Bool) async -> JobRecord {
        let record = record
        if isDone(record) { return record }
        return await withCheckedContinuation { waiters.append((isDone, $0)) }
    }

    /// Resumes the deadline of a job that was adopted while it ran.
    func adopt() {
        if lifecycle.record.status == .running { startDeadline(lifecycle.record) }
    }
}
