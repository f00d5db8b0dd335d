/// Where a job is in its life, in the words of the wire.
public enum JobStatus: String, Sendable, Hashable, Codable, CaseIterable {
    /// Waits for another job of its workflow.
    case pending = "PENDING"
    /// Waits for its time.
    case scheduled = "SCHEDULED"
    /// Accepted; its sandbox is being built.
    case initializing = "INITIALIZING"
    /// Its process runs.
    case running = "RUNNING"
    /// Ended by itself with exit code 0.
    case completed = "COMPLETED"
    /// Ended otherwise by itself, was killed by a limit, or never started.
    case failed = "FAILED"
    /// Ended on request or at its deadline.
    case stopped = "STOPPED"
    /// Taken back before it started.
    case canceled = "CANCELED"

    /// Whether nothing follows.
    public var isTerminal: Bool {
        switch self {
        case .completed, .failed, .stopped, .canceled: true
        case .pending, .scheduled, .initializing, .running: false
        }
    }
}
