import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox

/// One job's two pipes and its outbox, as the pump serves them.
final class PumpedJob {
    /// Why nothing is moved for the job now.
    enum Waiting: Hashable {
        /// An outbox limit is reached: until segments are released.
        case room
        /// The disk refused: until the next attempt.
        case disk
    }

    let job: OutboxJob
    private let plan: OutputPlan
    private(set) var pipes: [OutputStream: FileDescriptor]
    var names: [OutputStream: UInt64] = [:]
    var waiting: Waiting?
    private var writer: OutboxWriter?
    private var left: [OutputStream: Int]?
    private var dropped: [OutputStream: UInt64] = [:]
    private var droppedSince: Int64 = 0
    /// Bytes in the outbox that are not released.
    private(set) var outstanding = 0
    /// The position at which the log ended; nil before.
    private(set) var endPosition: UInt64?

    init(job: OutboxJob, plan: OutputPlan, pipes: [OutputStream: FileDescriptor]) {
        self.job = job
        self.plan = plan
        self.pipes = pipes
    }

    /// What a job's pipe gave in one turn.
    enum Turn: Hashable {
        /// Bytes that were moved or dropped.
        case moved(Int)
        /// Nothing more will come from this pipe.
        case done
        /// The limit is reached.
        case full
    }

    /// Opens the outbox, if that was not possible before.
    func open() throws(SystemCallError) {
        guard writer == nil else { return }
        let opened = try OutboxWriter(root: plan.root, job: job, segmentBytes: Int(clamping: plan.segmentBytes))
        writer = opened
        outstanding = opened.outstandingBytes
        if opened.isEnded { endPosition = opened.position }
    }

    /// Whether the job has used up its own room.
    var isOverOwnLimit: Bool { outstanding >= plan.jobBytes }

    /// The job's processes are gone: what lies in the pipes now is the rest.
    ///
    /// Bounded by what is there, since a process that got hold of a pipe may write for ever.
    func finish() {
        guard left == nil else { return }
        left = pipes.mapValues { Int(max(0, joblet_bytes_in_pipe($0.number))) }
    }

    /// Serves one pipe once.
    func turn(_ stream: OutputStream, overLimit: Bool, null: FileDescriptor) throws(SystemCallError) -> Turn {
        try open()
        guard let pipe = pipes[stream], let writer else { return .done }
        if let left, left[stream, default: 0] <= 0 { return close(stream) }
        let move: OutboxWriter.Move
        if overLimit {
            guard plan.dropsAtLimit else { return .full }
            move = try writer.discard(from: pipe, into: null)
            if case .bytes(let count) = move {
                if dropped.isEmpty { droppedSince = SystemClock.sinceBoot() }
                dropped[stream, default: 0] += UInt64(count)
                // A viewer should see within a second that bytes are missing.
                if SystemClock.sinceBoot() - droppedSince > 1_000_000_000 { try recordGaps() }
            }
        } else {
            try recordGaps()
            let limit = left.map { min(OutboxWriter.moveLimit, $0[stream, default: 0]) } ?? OutboxWriter.moveLimit
            move = try writer.move(from: pipe, stream: stream, limit: limit)
            outstanding = writer.outstandingBytes
        }
        switch move {
        case .bytes(let count):
            left?[stream, default: 0] -= count
            return .moved(count)
        case .closed: return close(stream)
        case .empty: return left == nil ? .moved(0) : close(stream)
        }
    }

    private func close(_ stream: OutputStream) -> Turn {
        pipes[stream] = nil
        return .done
    }

    /// Ends the log once both pipes are done; whether it has ended.
    func endIfDone() throws(SystemCallError) -> Bool {
        if endPosition != nil { return true }
        guard pipes.isEmpty, let writer else { return false }
        try recordGaps()
        try writer.end()
        outstanding = writer.outstandingBytes
        endPosition = writer.position
        return true
    }

    /// Looks which segments were released.
    func recount() {
        guard let writer else { return }
        writer.recount()
        outstanding = writer.outstandingBytes
    }

    private func recordGaps() throws(SystemCallError) {
        guard !dropped.isEmpty, let writer else { return }
        for stream in OutputStream.allCases {
            guard let count = dropped[stream] else { continue }
            try writer.recordGap(stream: stream, dropped: count)
            dropped[stream] = nil
        }
        outstanding = writer.outstandingBytes
    }
}
