public import Storage

/// The one state machine of a job: an event in, the next version of its record out; no I/O.
///
/// ```
///                 started            exited(0)
/// INITIALIZING ───────────► RUNNING ───────────► COMPLETED
///      │                       │ exited(≠0), out of memory, supervisor lost, node restarted
///      │ start failed          ├───────────────► FAILED
///      │                       │ stop or deadline was asked for, then exited
///      └──► FAILED             └───────────────► STOPPED (exit code −1)
/// ```
public struct JobLifecycle: Sendable, Hashable {
    /// What can happen to a job.
    public enum Event: Sendable, Hashable {
        /// Its process executes.
        case started(pid: Int32, time: Int64)
        /// Its sandbox could not be built, for that reason.
        case startFailed(reason: String, time: Int64)
        /// Its first process ended, and with it all others.
        case exited(code: Int32, signal: Int32, ranOutOfMemory: Bool, time: Int64)
        /// Nobody saw its end: the shim died, or the host restarted.
        case lost(reason: String, time: Int64)
        /// A user wants it to stop.
        case stopRequested
        /// Its deadline passed.
        case deadlinePassed
    }

    /// The record as it is now.
    public private(set) var record: JobRecord
    /// Why an end is wanted; nil while none is. The first wish decides.
    public private(set) var endWanted: EndWanted?

    /// Why a job that runs is to end.
    public enum EndWanted: Sendable, Hashable {
        /// A user asked.
        case stop
        /// The deadline passed.
        case deadline
    }

    /// The life of the job with that record.
    public init(_ record: JobRecord) {
        self.record = record
    }

    /// Applies an event; whether the record has a new version that must be kept before anyone is told.
    public mutating func apply(_ event: Event) -> Bool {
        guard !record.status.isTerminal else { return false }
        switch event {
        case .started(let pid, let time):
            guard record.status == .initializing else { return false }
            record.status = .running
            record.pid = pid
            record.startedAt = max(time, record.createdAt)
        case .startFailed(let reason, let time):
            guard record.status == .initializing else { return false }
            end(.failed, reason: reason, exitCode: -1, time: time)
        case .exited(let code, let signal, let ranOutOfMemory, let time):
            guard record.status != .initializing else {
                // The end of a child that never became the job.
                end(.failed, reason: "the sandbox could not be built", exitCode: -1, time: time)
                break
            }
            record.signal = signal
            switch endWanted {
            case .stop: end(.stopped, reason: "stopped", exitCode: -1, time: time)
            case .deadline: end(.stopped, reason: "timeout", exitCode: -1, time: time)
            case nil:
                if code == 0 {
                    end(.completed, reason: "", exitCode: 0, time: time)
                } else {
                    let reason = ranOutOfMemory ? "oom" : signal != 0 ? "signal \(signal)" : ""
                    end(.failed, reason: reason, exitCode: code, time: time)
                }
            }
        case .lost(let reason, let time): end(.failed, reason: reason, exitCode: -1, time: time)
        case .stopRequested:
            if endWanted == nil { endWanted = .stop }
            return false
        case .deadlinePassed:
            if endWanted == nil { endWanted = .deadline }
            return false
        }
        record.version += 1
        return true
    }

    private mutating func end(_ status: JobStatus, reason: String, exitCode: Int32, time: Int64) {
        record.status = status
        record.reason = reason
        record.exitCode = exitCode
        record.endedAt = max(time, record.startedAt ?? record.createdAt)
        record.lease = nil
    }
}
