public import Kernel

/// What daemon and shim say to each other over the shim's control socket.
///
/// ```
/// daemon                                shim
///   hello(versions) ───────────────────►
///                   ◄─────────────────── welcome(version, every job it has)
///   configure(outbox limits) ──────────►
///   start(token, job, plan) ───────────►
///                   ◄─────────────────── started(job, pid) | startFailed(job, step, errno)
///   stop(job, grace) | kill(job) ──────►
///                   ◄─────────────────── exited(record)
///                   ◄─────────────────── drained(job): its log is complete
///   released(job): segments are gone ──►
///   acknowledge(job): exit is recorded ►
///   retire: no more jobs, end when idle►
///   dismiss: end if there is no job ───►
/// ```
///
/// A frame is its length (32 bits, of what follows), the message's number (16 bits) and its fields.
public enum ShimRequest: Sendable, Hashable {
    /// The lowest and highest protocol version the daemon speaks.
    case hello(lowest: UInt16, highest: UInt16)
    /// Limits of the whole node's outbox, in bytes, which the pump enforces without a daemon too.
    case configure(OutboxBudget)
    /// Starts a job; a token the shim knows starts nothing.
    case start(StartRequest)
    /// SIGTERM to the job's first process; after `grace` nanoseconds every process is killed.
    case stop(ShimJob, grace: UInt64)
    /// Kills every process of the job.
    case kill(ShimJob)
    /// The exit or the failed start is recorded: the shim forgets the job once its log is complete.
    case acknowledge(ShimJob)
    /// Segments of the job's outbox were removed.
    case released(ShimJob)
    /// Takes no more jobs and ends with the last.
    case retire
    /// Ends if it has no job; otherwise nothing changes.
    case dismiss

    /// The protocol version of this program.
    public static let version: UInt16 = 1
    /// The longest frame that is accepted, in bytes: a plan with 2 MiB of arguments fits.
    public static let frameLimit = 8 << 20

    /// Whether this is the greeting that must come first.
    public var isHello: Bool { number == 1 }

    var number: UInt16 {
        switch self {
        case .hello: 1
        case .configure: 2
        case .start: 3
        case .stop: 4
        case .kill: 5
        case .acknowledge: 6
        case .released: 7
        case .retire: 8
        case .dismiss: 9
        }
    }

    /// The request as a frame.
    public var frame: [UInt8] {
        var body = ByteWriter()
        switch self {
        case .hello(let lowest, let highest):
            body.write(lowest)
            body.write(highest)
        case .configure(let budget): budget.encode(into: &body)
        case .start(let request): request.encode(into: &body)
        case .stop(let job, let grace):
            job.encode(into: &body)
            body.write(grace)
        case .kill(let job), .acknowledge(let job), .released(let job): job.encode(into: &body)
        case .retire, .dismiss: break
        }
        return ShimFrame.encode(number, body.bytes)
    }

    /// The request in a frame's body; the plan of a start stays where it is in `body`.
    public init(number: UInt16, body: [UInt8]) throws(MalformedMessage) {
        var reader = ByteReader(body)
        switch number {
        case 1: self = .hello(lowest: try reader.read(UInt16.self), highest: try reader.read(UInt16.self))
        case 2: self = .configure(try OutboxBudget(from: &reader))
        case 3:
            self = .start(try StartRequest(from: &reader, bodyCount: body.count))
            return
        case 4: self = .stop(try ShimJob(from: &reader), grace: try reader.read(UInt64.self))
        case 5: self = .kill(try ShimJob(from: &reader))
        case 6: self = .acknowledge(try ShimJob(from: &reader))
        case 7: self = .released(try ShimJob(from: &reader))
        case 8: self = .retire
        case 9: self = .dismiss
        default: throw MalformedMessage("a request number")
        }
        try reader.finish()
    }
}

/// What the shim says to the daemon.
public enum ShimEvent: Sendable, Hashable {
    /// The version that both speak (0: none), the shim's process and every job that it has.
    case welcome(version: UInt16, pid: Int32, jobs: [ShimJobState])
    /// The job's process executes its program, or failed to with 127 or 126.
    case started(ShimJob, pid: Int32, time: Int64)
    /// The sandbox could not be built: the step and the error number.
    case startFailed(ShimJob, step: String, code: Int32)
    /// The job's first process ended, and with it all others.
    case exited(ExitRecord)
    /// Everything the job wrote is in the outbox, up to this position.
    case drained(ShimJob, position: UInt64)

    /// The job that it is about; nil for a welcome.
    public var job: ShimJob? {
        switch self {
        case .welcome: nil
        case .started(let job, _, _), .startFailed(let job, _, _), .drained(let job, _): job
        case .exited(let record): record.job
        }
    }

    /// The event as a frame.
    public var frame: [UInt8] {
        var body = ByteWriter()
        let number: UInt16
        switch self {
        case .welcome(let version, let pid, let jobs):
            number = 101
            body.write(version)
            body.write(pid)
            body.write(list: jobs) { writer, state in state.encode(into: &writer) }
        case .started(let job, let pid, let time):
            number = 102
            job.encode(into: &body)
            body.write(pid)
            body.write(time)
        case .startFailed(let job, let step, let code):
            number = 103
            job.encode(into: &body)
            body.write(step)
            body.write(code)
        case .exited(let record):
            number = 104
            record.encode(into: &body)
        case .drained(let job, let position):
            number = 105
            job.encode(into: &body)
            body.write(position)
        }
        return ShimFrame.encode(number, body.bytes)
    }

    /// The event in a frame's body.
    public init(number: UInt16, body: [UInt8]) throws(MalformedMessage) {
        var reader = ByteReader(body)
        switch number {
        case 101:
            self = .welcome(
                version: try reader.read(UInt16.self), pid: try reader.read(Int32.self),
                jobs: try reader.readList { (reader) throws(MalformedMessage) in try ShimJobState(from: &reader) })
        case 102:
            self = .started(
                try ShimJob(from: &reader), pid: try reader.read(Int32.self), time: try reader.read(Int64.self))
        case 103:
            self = .startFailed(
                try ShimJob(from: &reader), step: try reader.readString(), code: try reader.read(Int32.self))
        case 104: self = .exited(try ExitRecord(from: &reader))
        case 105: self = .drained(try ShimJob(from: &reader), position: try reader.read(UInt64.self))
        default: throw MalformedMessage("an event number")
        }
        try reader.finish()
    }
}

/// The envelope of a message.
public enum ShimFrame {
    /// The bytes before a body: its length plus two, and the message's number.
    public static let headerSize = 6

    static func encode(_ number: UInt16, _ body: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt32(body.count + 2))
        writer.write(number)
        return writer.bytes + body
    }

    /// The message number and body length in a frame's first six bytes.
    public static func decode(header: [UInt8]) throws(MalformedMessage) -> (number: UInt16, count: Int) {
        var reader = ByteReader(header)
        let length = Int(try reader.read(UInt32.self))
        guard length >= 2, length <= ShimRequest.frameLimit else { throw MalformedMessage("a frame below the limit") }
        return (try reader.read(UInt16.self), length - 2)
    }
}
