import Kernel
import Outbox
import Sandbox

/// How much of the node's outbox budget is used, and by whom.
struct OutboxRoom {
    /// A smaller segment is not closed early: its files would cost more than it can give back.
    private static let segmentFloor = 64 << 10

    private var budget: OutboxBudget?
    /// Bytes of each job: those that are pumped, and those that ended but are not released.
    private var bytes: [OutboxJob: Int] = [:]
    private var used = 0

    /// Whether a job must wait: at its own limit, at the node's, or near the node's if it holds more than its
    /// share, so that the largest stops first.
    func isOver(_ job: PumpedJob) -> Bool {
        if job.isOverOwnLimit { return true }
        guard let budget else { return false }
        let limit = Int(clamping: budget.nodeBytes)
        if used >= limit { return true }
        return used >= limit - limit / 8 && job.outstanding * bytes.count > used
    }

    /// Whether the file system has no more free than is kept for records of state, whatever fills it.
    var isDiskAtReserve: Bool {
        get throws(SystemCallError) {
            guard let budget else { return false }
            return try Directory.isAtReserve(budget.reserveBytes, at: budget.root)
        }
    }

    /// The size from which a segment is worth closing at a limit: small enough that the open segments of all
    /// jobs together never fill the node.
    var leastSegment: Int {
        guard let budget else { return OutboxRoom.segmentFloor }
        return min(OutboxRoom.segmentFloor, Int(clamping: budget.nodeBytes) / (4 * max(1, bytes.count)))
    }

    /// A job begins; what an earlier pump left of it is counted when its outbox is open.
    mutating func begin(_ job: OutboxJob) { set(job, bytes[job] ?? 0) }

    /// Counts what a job that is pumped holds.
    mutating func count(_ job: PumpedJob) {
        guard bytes[job.job] != nil else { return }
        set(job.job, job.outstanding)
    }

    /// A job's log ended: what it holds stays until it is released.
    mutating func end(_ job: PumpedJob) { set(job.job, job.isRemoved ? nil : job.outstanding) }

    /// Counts what a job that ended still has on the disk.
    mutating func recount(_ job: OutboxJob) {
        guard let budget else { return }
        let size = OutboxUsage.bytes(root: budget.root, job: job)
        set(job, size == 0 ? nil : size)
    }

    /// Takes a new budget, and everything that lies below its root.
    mutating func configure(_ budget: OutboxBudget, active: [OutboxJob: PumpedJob]) {
        self.budget = budget
        bytes = OutboxUsage.all(root: budget.root)
        for job in active.values { bytes[job.job] = job.outstanding }
        used = bytes.values.reduce(0, +)
    }

    private mutating func set(_ job: OutboxJob, _ value: Int?) {
        used += (value ?? 0) - (bytes[job] ?? 0)
        bytes[job] = value
    }
}
