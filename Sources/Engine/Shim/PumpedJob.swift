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

    /// Moves below this are followed by a pause of the pipe, so that many small writes become few moves.
    static let smallMove = 16 << 10
    private static let pause: Int64 = 1_000_000
    /// A viewer should see within a second that bytes are missing.
    private static let gapDelay: Int64 = 1_000_000_000

    let job: OutboxJob
    private let plan: OutputPlan
    private(set) var pipes: [OutputStream: FileDescriptor]
    var names: [OutputStream: UInt64] = [:]
    var waiting: Waiting?
    /// The failure that was reported last, so that repeated attempts do not repeat the report.
    var failure: SystemCallError?
    private var writer: OutboxWriter?
    private var left: [OutputStream: Int]?
    /// Until when little is left to gather, on both streams: what a job says last must not overtake the rest.
    private var restsUntil: Int64 = 0
    /// The stream that had output first while the job rested.
    private var firstToSpeak: OutputStream?
    private var dropped: [OutputStream: UInt64] = [:]
    /// When the gap notes are due for what was dropped, in nanoseconds since boot; nil where nothing was.
    private(set) var gapsDueAt: Int64?
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
        /// Little was there so shortly after the last turn that it was left to gather.
        case resting
        /// Nothing more will come from this pipe.
        case done
        /// The limit is reached.
        case full
    }

    private var lock: FileDescriptor?

    /// Opens the outbox, if that was not possible before.
    func open() throws(SystemCallError) {
        guard writer == nil else { return }
        if lock == nil { lock = try SegmentFiles(root: plan.root, job: job).lock() }
        let opened = try OutboxWriter(root: plan.root, job: job, segmentBytes: Int(clamping: plan.segmentBytes))
        writer = opened
        if opened.isEnded { endPosition = opened.position }
    }

    /// Bytes in the outbox that are not released.
    var outstanding: Int { writer?.outstandingBytes ?? 0 }
    /// Whether the outbox was removed, as that of a deleted job is.
    var isRemoved: Bool { writer?.isRemoved ?? false }
    /// Whether the job has used up its own room.
    var isOverOwnLimit: Bool { outstanding >= Int(clamping: plan.jobBytes) }
    /// Whether the job's processes are gone.
    var isFinishing: Bool { left != nil }

    /// The job's processes are gone: what lies in the pipes now is the rest.
    ///
    /// Bounded by what is there, since a process that got hold of a pipe may write for ever.
    func finish() {
        guard left == nil else { return }
        left = pipes.mapValues { Int(max(0, joblet_bytes_in_pipe($0.number))) }
    }

    /// The stream to serve next of a finished job; nil once both pipes are done.
    var nextToDrain: OutputStream? {
        if let firstToSpeak, pipes[firstToSpeak] != nil { return firstToSpeak }
        return OutputStream.allCases.first { pipes[$0] != nil }
    }

    /// Serves one pipe once.
    func turn(_ stream: OutputStream, overLimit: Bool, null: FileDescriptor) throws(SystemCallError) -> Turn {
        try open()
        guard let pipe = pipes[stream], let writer else { return .done }
        if let left {
            if left[stream, default: 0] <= 0 { return .done }
        } else if isResting(stream, pipe) {
            firstToSpeak = firstToSpeak ?? stream
            return .resting
        }
        let move: OutboxWriter.Move
        if overLimit {
            guard plan.dropsAtLimit else { return .full }
            move = try writer.discard(from: pipe, into: null)
            if case .bytes(let count) = move { note(stream, count) }
        } else {
            try recordGaps()
            let limit = left.map { min(OutboxWriter.moveLimit, $0[stream, default: 0]) } ?? OutboxWriter.moveLimit
            move = try writer.move(from: pipe, stream: stream, limit: limit)
        }
        if firstToSpeak == stream { firstToSpeak = nil }
        switch move {
        case .bytes(let count):
            left?[stream, default: 0] -= count
            if count < PumpedJob.smallMove { restsUntil = SystemClock.sinceBoot() + PumpedJob.pause }
            return .moved(count)
        case .closed: return .done
        case .empty: return left == nil ? .moved(0) : .done
        }
    }

    private func isResting(_ stream: OutputStream, _ pipe: FileDescriptor) -> Bool {
        guard (1..<PumpedJob.smallMove) ~= Int(joblet_bytes_in_pipe(pipe.number)) else { return false }
        if SystemClock.sinceBoot() < restsUntil { return true }
        // A job can empty its own pipe: only what is still there goes first.
        guard let firstToSpeak, firstToSpeak != stream, let other = pipes[firstToSpeak] else { return false }
        return joblet_bytes_in_pipe(other.number) > 0
    }

    /// Drops a pipe from which nothing more will come; the caller has stopped watching it.
    func close(_ stream: OutputStream) {
        pipes[stream] = nil
    }

    /// Ends the log once both pipes are done; whether it has ended.
    func endIfDone() throws(SystemCallError) -> Bool {
        if endPosition != nil { return true }
        guard pipes.isEmpty, let writer else { return false }
        try recordGaps()
        try writer.end()
        endPosition = writer.position
        return true
    }

    // MARK: Limits

    /// Begins a new segment if the current one takes `bytes` or a good part of the job's own room: a segment
    /// that is being written cannot be released, and at a limit nothing else would make room.
    func makeReleasable(atLeast bytes: Int) throws(SystemCallError) {
        try writer?.closeSegment(ifAtLeast: min(bytes, Int(clamping: plan.jobBytes / 4)))
    }

    /// Ends the log of a job whose outbox is gone.
    func abandon() {
        endPosition = writer?.position ?? 0
        gapsDueAt = nil
    }

    /// Looks which segments were released.
    func recount() {
        writer?.recount()
    }

    private func note(_ stream: OutputStream, _ count: Int) {
        if gapsDueAt == nil { gapsDueAt = SystemClock.sinceBoot() + PumpedJob.gapDelay }
        dropped[stream, default: 0] += UInt64(count)
    }

    /// Notes in the index what was dropped since the last note.
    func recordGaps() throws(SystemCallError) {
        guard gapsDueAt != nil, let writer else { return }
        for stream in OutputStream.allCases {
            guard let count = dropped[stream] else { continue }
            try writer.recordGap(stream: stream, dropped: count)
            dropped[stream] = nil
        }
        gapsDueAt = nil
    }
}
