import Glibc
import Kernel
import Logging
import Storage
import Synchronization

/// The samples of a node's jobs until their store has them: every sample is here before anyone is told of it.
///
/// On a thread of its own, so that a stuck disk stops no other work.
actor MetricOutbox {
    /// Samples of a job that are made durable together: one compressed member each.
    static let batch = 12
    private static let threads = BlockingExecutor(count: 1)
    /// How long a sample waits for others to be made durable with them, in nanoseconds.
    private static let patience: Int64 = 60_000_000_000
    /// Samples of a job that wait in memory while the disk refuses.
    private static let heldSamples = 120

    private struct Series {
        var segments: MetricSegments
        let durability: Durability
        /// Samples that could not be written yet.
        var held: [(time: Int64, points: [MetricPoint])] = []
        /// The sequence up to which the store has everything durably.
        var shipped: UInt64
        /// Whether the store was seen to end there, or has nothing.
        var isStoreKnown: Bool
        /// Since when a sample waits for that, in nanoseconds since boot.
        var waitsSince: Int64?
        /// The sequence up to which the store shows everything, and since when a sample waits for that.
        var shown: UInt64
        var hiddenSince: Int64?
        /// Whether no more samples will come.
        var isOver = false
        /// Whether the store has all of them.
        var isComplete = false
    }

    private struct Subscribers {
        var streams: [JobID: [UInt64: AsyncStream<Void>.Continuation]] = [:]
        var next: UInt64 = 0
        var isClosed = false
    }

    private let root: String
    /// How long a sample may wait until its store shows it, in nanoseconds.
    private let maxAge: Int64
    /// Whether `wake` is on its way.
    private var isWakeSet = false
    private let logger: Logger
    private let thread = MetricOutbox.threads.thread()
    private var series: [JobID: Series] = [:]
    private nonisolated let subscribers = Mutex(Subscribers())
    /// Has an element when there may be something to ship.
    nonisolated let work: AsyncStream<Void>
    private nonisolated let workCame: AsyncStream<Void>.Continuation

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// The outboxes below `root`; their store shows samples within `maxAge` nanoseconds.
    init(root: String, maxAge: Int64, logger: Logger) {
        self.root = root
        self.maxAge = maxAge
        self.logger = logger
        (work, workCame) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Writing

    /// Takes over what an earlier daemon left of a job; whether there was something.
    func recover(_ job: JobID, durability: Durability) throws(SystemCallError) -> Bool {
        guard let segments = try MetricSegments(existingIn: root, job: job) else { return false }
        series[job] = Series(
            segments: segments, durability: durability, shipped: segments.base, isStoreKnown: false,
            waitsSince: SystemClock.sinceBoot(), shown: segments.base, hiddenSince: SystemClock.sinceBoot())
        wakeLater()
        return true
    }

    /// Whether the job was begun or taken over.
    func isKnown(_ job: JobID) -> Bool { series[job] != nil }

    /// The last sample of a job; nil where the store alone has it.
    func last(of job: JobID) throws(SystemCallError) -> MetricSample? {
        guard let segments = series[job]?.segments, segments.end > segments.base else { return nil }
        return try segments.read(from: segments.end - 1, limit: 1).last
    }

    /// Begins with a job whose first sample will have that sequence, unless it is known.
    func begin(_ job: JobID, first: UInt64, durability: Durability) {
        guard series[job] == nil else { return }
        series[job] = Series(
            segments: MetricSegments(root: root, job: job, first: first), durability: durability, shipped: first,
            isStoreKnown: true, shown: first)
    }

    /// Adds samples of jobs that were begun and are not over. What the disk refuses is kept in memory and written with the next ones.
    func append(_ samples: [(job: JobID, time: Int64, points: [MetricPoint])]) {
        guard !isClosed else { return }
        let now = SystemClock.sinceBoot()
        var hasWork = false
        for sample in samples where series[sample.job]?.isOver == false {
            series[sample.job]?.held.append((sample.time, sample.points))
            writeHeld(sample.job)
            if let entry = series[sample.job], isDue(entry, at: now) { hasWork = true }
        }
        if hasWork { workCame.yield() }
        if !samples.isEmpty { wakeLater() }
    }

    /// Notes that no more samples of a job will come.
    func end(_ job: JobID) {
        writeHeld(job)
        series[job]?.isOver = true
        notify(job)
        workCame.yield()
    }

    private func writeHeld(_ job: JobID) {
        guard var entry = series[job], !entry.held.isEmpty else { return }
        // A copy besides would make each change copy the offsets.
        series[job] = nil
        var written = 0
        do throws(SystemCallError) {
            for sample in entry.held {
                try entry.segments.append(time: sample.time, points: sample.points, durability: entry.durability)
                written += 1
            }
            let lost = try entry.segments.limit()
            if lost > 0 {
                logger.error(
                    "old samples were dropped: their store has not taken them",
                    metadata: ["jobId": "\(job)", "samples": "\(lost)"])
            }
        } catch {
            logger.warning("samples wait for the disk", metadata: ["jobId": "\(job)", "error": "\(error)"])
        }
        entry.held.removeFirst(written)
        if entry.held.count > MetricOutbox.heldSamples {
            logger.error("a sample was dropped: the disk does not take it", metadata: ["jobId": "\(job)"])
            entry.held.removeFirst(entry.held.count - MetricOutbox.heldSamples)
        }
        if written > 0 {
            entry.waitsSince = entry.waitsSince ?? SystemClock.sinceBoot()
            entry.hiddenSince = entry.hiddenSince ?? SystemClock.sinceBoot()
        }
        series[job] = entry
        if written > 0 { notify(job) }
    }

    /// Removes everything of a job.
    func remove(_ job: JobID) throws(StorageError) {
        do throws(SystemCallError) {
            try series[job]?.segments.removeAll()
        } catch {
            throw .unavailable(reason: "\(error)")
        }
        series[job] = nil
        notify(job)
    }

    // MARK: Reading

    /// What a reader finds.
    enum Step: Sendable, Hashable {
        /// The next samples.
        case samples([MetricSample])
        /// Nothing new yet.
        case waiting
        /// Everything was read and no more will come.
        case ended
        /// The outbox begins further on: what lies before is in the store.
        case released(base: UInt64)
        /// The job has no samples here.
        case absent
    }

    /// At most `limit` samples from `sequence` on.
    func read(_ job: JobID, from sequence: UInt64, limit: Int) throws(StorageError) -> Step {
        guard let entry = series[job] else { return .absent }
        if sequence < entry.segments.base { return .released(base: entry.segments.base) }
        do throws(SystemCallError) {
            let samples = try entry.segments.read(from: sequence, limit: limit)
            if !samples.isEmpty { return .samples(samples) }
        } catch {
            throw .unavailable(reason: "\(error)")
        }
        return entry.isOver && entry.held.isEmpty ? .ended : .waiting
    }

    // MARK: Shipping

    /// The jobs with samples that their store should show or make durable by now.
    func due() -> [JobID] {
        guard !isClosed else { return [] }
        let now = SystemClock.sinceBoot()
        return series.compactMap { job, entry in isDue(entry, at: now) ? job : nil }
    }

    private func isDue(_ entry: Series, at now: Int64) -> Bool {
        if entry.isComplete { return false }
        // Looked for twice in that time.
        return entry.hiddenSince.map { now - $0 >= maxAge / 2 } ?? false || isSyncDue(entry, now)
    }

    /// Has the jobs looked at again when samples have waited for others.
    private func wakeLater() {
        guard !isWakeSet else { return }
        isWakeSet = true
        Task { [weak self, maxAge] in
            do { try await Task.sleep(for: .nanoseconds(maxAge / 2)) } catch { return }
            await self?.wake()
        }
    }

    private func wake() {
        isWakeSet = false
        guard !isClosed else { return }
        workCame.yield()
        if series.values.contains(where: { $0.hiddenSince != nil && !$0.isComplete }) { wakeLater() }
    }

    /// Whether a job has enough samples that are not durable, or old ones, or is over.
    private func isSyncDue(_ entry: Series, _ now: Int64) -> Bool {
        entry.isOver || entry.segments.end - entry.shipped >= UInt64(MetricOutbox.batch)
            || entry.waitsSince.map { now - $0 >= MetricOutbox.patience } ?? false
    }

    /// What there is of a job for its store.
    struct Stock: Sendable, Hashable {
        /// The sequence of the first sample that is kept.
        let base: UInt64
        /// The sequence after the last one.
        let end: UInt64
        /// Whether the store is to make them durable, so that they can be released.
        let isSyncDue: Bool
        /// Whether there are none behind `end`, and none will come.
        let isLast: Bool
        /// The sequence after the last sample that the store has; nil where it must be asked.
        let stored: UInt64?
        /// The first samples that the store lacks; none where it must be asked.
        let samples: [MetricSample]
    }

    /// What there is of a job, the disk having been asked once more, with at most `limit` samples; throws
    /// `unavailable` where the disk refuses the last samples of a job, nil for a job that is not known.
    func stock(of job: JobID, limit: Int) throws(StorageError) -> Stock? {
        writeHeld(job)
        guard let entry = series[job] else { return nil }
        if entry.isOver, !entry.held.isEmpty { throw .unavailable(reason: "the outbox takes no samples") }
        let stored = entry.isStoreKnown && entry.shipped >= entry.segments.base ? entry.shipped : nil
        // Until it is shipped, what the store has may change with any failure.
        series[job]?.isStoreKnown = false
        var samples: [MetricSample] = []
        if let stored, case .samples(let found) = try read(job, from: stored, limit: limit) { samples = found }
        return Stock(
            base: entry.segments.base, end: entry.segments.end,
            isSyncDue: isSyncDue(entry, SystemClock.sinceBoot()), isLast: entry.isOver, stored: stored,
            samples: samples)
    }

    /// The store shows everything of a job before `sequence`.
    func shown(_ job: JobID, upTo sequence: UInt64) {
        guard var entry = series[job] else { return }
        entry.shown = max(entry.shown, sequence)
        entry.hiddenSince = entry.shown < entry.segments.end ? SystemClock.sinceBoot() : nil
        series[job] = entry
    }

    /// The store has everything of a job before `sequence`; true where nothing is left and no more will come.
    func shipped(_ job: JobID, upTo sequence: UInt64) throws(StorageError) -> Bool {
        guard !isClosed, var entry = series[job] else { return false }
        entry.shipped = max(entry.shipped, sequence)
        entry.isStoreKnown = entry.shipped == sequence
        entry.waitsSince = entry.shipped < entry.segments.end ? SystemClock.sinceBoot() : nil
        entry.isComplete = entry.isOver && entry.held.isEmpty && entry.shipped >= entry.segments.end
        let isComplete = entry.isComplete
        series[job] = entry
        do throws(SystemCallError) {
            try series[job]?.segments.release(upTo: sequence)
        } catch {
            throw .unavailable(reason: "\(error)")
        }
        return isComplete
    }

    // MARK: Subscribers

    /// A stream with an element after each new sample of a job, and one at once; it ends with the outbox.
    nonisolated func changes(of job: JobID) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number: UInt64? = subscribers.withLock { subscribers in
            if subscribers.isClosed { return nil }
            subscribers.next += 1
            subscribers.streams[job, default: [:]][subscribers.next] = continuation
            return subscribers.next
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.subscribers.withLock { subscribers in
                subscribers.streams[job]?[number] = nil
                if subscribers.streams[job]?.isEmpty == true { subscribers.streams[job] = nil }
            }
        }
        // What came before the stream was there is found by looking now.
        continuation.yield()
        return stream
    }

    /// Tells the job's subscribers to look.
    nonisolated func notify(_ job: JobID) {
        let streams = subscribers.withLock { Array($0.streams[job, default: [:]].values) }
        for stream in streams { stream.yield() }
    }

    /// Takes no more samples and removes none: they belong to the next daemon. Ends every stream.
    nonisolated func close() {
        let streams = subscribers.withLock { subscribers in
            subscribers.isClosed = true
            return subscribers.streams.values.flatMap(\.values)
        }
        for stream in streams { stream.finish() }
        workCame.finish()
    }

    private nonisolated var isClosed: Bool { subscribers.withLock { $0.isClosed } }
}
