import Kernel
import Outbox
import Sandbox

/// A job as the shim holds it, from its start until its exit is recorded and its log complete.
final class RunningJob {
    let job: ShimJob
    let token: UInt64
    let cgroup: CgroupPlan
    let output: OutputPlan
    let pid: Int32
    let process: FileDescriptor
    var processName: UInt64 = 0
    /// The pipe on which the child says how far it came; nil once it said so.
    var status: (file: FileDescriptor, name: UInt64)?
    /// Duplicates of the pipes' read ends, for the next pump; empty once the log is complete.
    var pipes: [FileDescriptor]
    var startedAt: Int64 = 0
    var exit: ExitRecord?
    var isDrained = false
    var isAcknowledged = false
    /// When the grace period of a stop ends, in nanoseconds since boot.
    var killAt: Int64?
    /// The step and error at which the sandbox could not be built: told in place of an exit.
    var failure: (step: String, code: Int32)?

    init(
        request: StartRequest, pid: Int32, process: FileDescriptor, pipes: [FileDescriptor]
    ) {
        job = request.job
        token = request.token
        cgroup = request.cgroup
        output = request.output
        self.pid = pid
        self.process = process
        self.pipes = pipes
    }

    var outboxJob: OutboxJob { OutboxJob(high: job.high, low: job.low) }

    var state: ShimJobState {
        ShimJobState(
            job: job, token: token, pid: pid, startedAt: startedAt, exit: exit, isDrained: isDrained)
    }
}
