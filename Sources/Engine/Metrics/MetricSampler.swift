import Glibc
import Kernel
import Storage

/// Reads what the node's jobs use: one loop for all of them, on the thread of the outbox that takes the samples.
///
/// A disk that is stuck holds up the reading as well, of which nothing could be told then.
actor MetricSampler {
    /// A part of the process's descriptors may stay open on control files; other jobs' are opened at each reading.
    private static let descriptorShare = 4

    private struct Watched {
        let reader: UsageReader
        var previous: ResourceUsage?
        let staysOpen: Bool
    }

    private let outbox: MetricOutbox
    private let interval: Duration
    private var watched: [JobID: Watched] = [:]
    private var openDescriptors = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { outbox.unownedExecutor }

    /// A sampler that reads every `interval` nanoseconds and adds what it reads to `outbox`.
    init(outbox: MetricOutbox, interval: Int64) {
        self.outbox = outbox
        self.interval = .nanoseconds(max(1_000_000, interval))
    }

    /// Reads all jobs at each interval until the task is cancelled.
    func run() async {
        var next = ContinuousClock.now + interval
        while true {
            // The clock counts the time the host sleeps, as CLOCK_BOOTTIME does.
            do { try await Task.sleep(until: next, clock: .continuous) } catch { return }
            await sampleAll()
            // Intervals that were missed are not made up for.
            next = max(next + interval, ContinuousClock.now)
        }
    }

    /// Begins with a job, and reads it for the first time; its first sample will have the sequence `first`.
    ///
    /// `previous` is what it used before, for rates since then; nil where nobody knows.
    func begin(
        _ job: JobID, groups: JobGroups, first: UInt64, durability: Durability, previous: ResourceUsage?
    ) async {
        guard watched[job] == nil else { return }
        await outbox.begin(job, first: first, durability: durability)
        let reader = UsageReader(groups)
        let staysOpen = openDescriptors + reader.descriptors <= MetricSampler.descriptorBudget
        if staysOpen { openDescriptors += reader.descriptors }
        watched[job] = Watched(
            reader: reader, previous: previous, staysOpen: staysOpen)
        await outbox.append([sample(job)].compactMap { $0 })
    }

    /// Reads a job for the last time and forgets it; its control groups are still there. No more samples come then.
    func finish(_ job: JobID) async {
        if let entry = watched[job] {
            let last = sample(job)
            watched[job] = nil
            if entry.staysOpen { openDescriptors -= entry.reader.descriptors }
            await outbox.append([last].compactMap { $0 })
        }
        await outbox.end(job)
    }

    /// Reads every job now.
    func sampleAll() async {
        await outbox.append(watched.keys.compactMap { sample($0) })
    }

    /// Nil where nothing can be read, as where the groups are gone.
    private func sample(_ job: JobID) -> (job: JobID, time: Int64, points: [MetricPoint])? {
        guard let entry = watched[job] else { return nil }
        let usage = entry.reader.read()
        if !entry.staysOpen { entry.reader.close() }
        guard !usage.isEmpty else { return nil }
        watched[job]?.previous = usage
        return (job, SystemClock.now(), usage.points(since: entry.previous))
    }

    private static var descriptorBudget: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur) / descriptorShare
    }
}
