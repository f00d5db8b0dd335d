import Kernel
import Outbox
import Sandbox

/// What shim and pump say to each other: one packet of a SOCK_SEQPACKET pair each.
enum PumpMessage {
    /// Moves a job's output; carries the read ends of its stdout and stderr.
    case add(OutboxJob, OutputPlan, isFinished: Bool)
    /// The job's processes are gone: drain what the pipes hold and end the log.
    case finish(OutboxJob)
    /// Segments of the job were removed.
    case released(OutboxJob)
    /// The node's budget.
    case configure(OutboxBudget)
    /// From the pump: everything up to the position is in the outbox and the log is ended.
    case drained(OutboxJob, position: UInt64)

    static let sizeLimit = 8 << 10

    var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .add(let job, let plan, let isFinished):
            writer.write(UInt8(1))
            writer.write(job.high)
            writer.write(job.low)
            plan.encode(into: &writer)
            writer.write(isFinished)
        case .finish(let job):
            writer.write(UInt8(2))
            writer.write(job.high)
            writer.write(job.low)
        case .released(let job):
            writer.write(UInt8(3))
            writer.write(job.high)
            writer.write(job.low)
        case .configure(let budget):
            writer.write(UInt8(4))
            budget.encode(into: &writer)
        case .drained(let job, let position):
            writer.write(UInt8(5))
            writer.write(job.high)
            writer.write(job.low)
            writer.write(position)
        }
        return writer.bytes
    }

    init(_ bytes: ArraySlice<UInt8>) throws(MalformedMessage) {
        var reader = ByteReader(bytes)
        func job(_ reader: inout ByteReader) throws(MalformedMessage) -> OutboxJob {
            OutboxJob(high: try reader.read(UInt64.self), low: try reader.read(UInt64.self))
        }
        switch try reader.read(UInt8.self) {
        case 1:
            self = .add(try job(&reader), try OutputPlan(from: &reader), isFinished: try reader.readBool())
        case 2: self = .finish(try job(&reader))
        case 3: self = .released(try job(&reader))
        case 4: self = .configure(try OutboxBudget(from: &reader))
        case 5: self = .drained(try job(&reader), position: try reader.read(UInt64.self))
        default: throw MalformedMessage("a pump message")
        }
        try reader.finish()
    }
}
