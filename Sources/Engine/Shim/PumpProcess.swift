import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox

/// Moves the output of every job from its pipes into the outbox; the only part that may wait for a disk.
///
/// Holds no state that it cannot find again: the pipes come from the shim, the positions from the outbox.
final class PumpProcess {
    /// The control socket's number in a new pump.
    static let controlDescriptor: Int32 = 3
    private static let pauseMilliseconds: Int32 = 1
    /// How long a job whose disk refused waits for the next attempt, in nanoseconds.
    private static let retryInterval: Int64 = 250_000_000

    private let loop: EventLoop
    private let control: FileDescriptor
    private let controlName: UInt64
    private let null: FileDescriptor
    private var jobs: [OutboxJob: PumpedJob] = [:]
    private var byName: [UInt64: (job: PumpedJob, stream: OutputStream)] = [:]
    private var room = OutboxRoom()
    private var dropping: [OutboxJob: PumpedJob] = [:]
    private var retryAt: Int64?
    private var outgoing: [[UInt8]] = []
    private var isOrphaned = false
    private var largestMove: Int?

    init(control: FileDescriptor) throws(SystemCallError) {
        loop = try EventLoop()
        self.control = control
        try control.setNonBlocking()
        controlName = try loop.add(control)
        null = try FileDescriptor.open("/dev/null", flags: O_WRONLY)
    }

    /// Serves until the shim is gone and every pipe is drained.
    func run() throws(SystemCallError) {
        while !(isOrphaned && jobs.isEmpty) {
            largestMove = nil
            try loop.wait(milliseconds: nextTimeout()) { (name) throws(SystemCallError) in
                if name == controlName {
                    receive()
                } else if let (job, stream) = byName[name] {
                    serve(job, stream)
                }
            }
            runTimers()
            if let largestMove, largestMove < PumpedJob.smallMove { pause() }
        }
    }

    /// Waits a moment for more output, or until the shim says something.
    private func pause() {
        var descriptor = pollfd(fd: isOrphaned ? -1 : control.number, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, PumpProcess.pauseMilliseconds)
    }

    // MARK: Time

    private func nextTimeout() -> Int32 {
        var next = retryAt
        for job in dropping.values { if let due = job.gapsDueAt { next = min(next ?? due, due) } }
        guard let next else { return -1 }
        return Int32(clamping: max(0, (next - SystemClock.sinceBoot() + 999_999) / 1_000_000))
    }

    private func runTimers() {
        if retryAt == nil, dropping.isEmpty { return }
        let now = SystemClock.sinceBoot()
        for job in dropping.values where job.gapsDueAt.map({ $0 <= now }) ?? true {
            dropping[job.job] = nil
            attempt(job) { () throws(SystemCallError) in try job.recordGaps() }
        }
        guard let retryAt, retryAt <= now else { return }
        self.retryAt = nil
        resume(.disk)
        if isOrphaned {
            // Nobody is left to say what was released.
            for job in jobs.values where job.waiting == .room { job.recount() }
            resume(.room)
        }
    }

    // MARK: Jobs

    private func serve(_ job: PumpedJob, _ stream: OutputStream) {
        attempt(job) { () throws(SystemCallError) in
            let (overLimit, isDiskFull) = (room.isOver(job), try room.isDiskAtReserve)
            // What is full stays full unless something of it can be released.
            if overLimit || isDiskFull { try job.makeReleasable(atLeast: room.leastSegment) }
            guard !isDiskFull else { throw SystemCallError("leave the disk its reserve", code: ENOSPC) }
            switch try job.turn(stream, overLimit: overLimit, null: null) {
            case .moved(let count): largestMove = max(largestMove ?? 0, count)
            case .resting: largestMove = largestMove ?? 0
            case .done:
                unwatch(job, stream)
                job.close(stream)
                try endIfDone(job)
            case .full: wait(job, for: .room)
            }
            job.failure = nil
            if job.gapsDueAt != nil { dropping[job.job] = job }
        }
        room.count(job)
    }

    /// Calls `body`; where the disk refuses, the job waits for the next attempt and nobody else does.
    private func attempt(_ job: PumpedJob, _ body: () throws(SystemCallError) -> Void) {
        do throws(SystemCallError) {
            try body()
        } catch {
            if error.code == ENOENT, job.isRemoved {
                job.abandon()
                return end(job)
            }
            if job.failure != error { report("\(job.job.directoryName): \(error)") }
            job.failure = error
            wait(job, for: .disk)
        }
    }

    private func endIfDone(_ job: PumpedJob) throws(SystemCallError) {
        if try job.endIfDone() { end(job) }
    }

    private func end(_ job: PumpedJob) {
        guard let position = job.endPosition else { return }
        for stream in OutputStream.allCases { unwatch(job, stream) }
        jobs[job.job] = nil
        dropping[job.job] = nil
        room.end(job)
        do throws(SystemCallError) {
            try FailPoint.pass("pump.beforeDrained")
            send(.drained(job.job, position: position))
            try FailPoint.pass("pump.afterDrained")
        } catch {
            report("\(error)")
        }
    }

    private func watch(_ job: PumpedJob) throws(SystemCallError) {
        // In this order: of two pipes that are readable already, the one that is added first is served first.
        for stream in OutputStream.allCases {
            guard let pipe = job.pipes[stream], job.names[stream] == nil else { continue }
            let name = try loop.add(pipe)
            job.names[stream] = name
            byName[name] = (job, stream)
        }
    }

    /// Comes before the pipe is closed: the shim's copy of it would keep its events coming.
    private func unwatch(_ job: PumpedJob, _ stream: OutputStream) {
        guard let name = job.names.removeValue(forKey: stream) else { return }
        byName[name] = nil
        if let pipe = job.pipes[stream] { loop.remove(pipe) }
    }

    private func wait(_ job: PumpedJob, for reason: PumpedJob.Waiting) {
        for stream in OutputStream.allCases { unwatch(job, stream) }
        job.waiting = reason
        if reason == .disk || isOrphaned { retryAt = retryAt ?? SystemClock.sinceBoot() + PumpProcess.retryInterval }
    }

    private func resume(_ reason: PumpedJob.Waiting) {
        for job in jobs.values where job.waiting == reason {
            job.waiting = nil
            start(job)
        }
    }

    /// Serves a job that begins, or may go on.
    private func start(_ job: PumpedJob) {
        attempt(job) { () throws(SystemCallError) in
            try job.open()
            room.count(job)
            try endIfDone(job)
            guard jobs[job.job] != nil else { return }
            if !job.isFinishing { try watch(job) }
        }
        if job.isFinishing { drain(job) }
    }

    /// Takes what is left in the pipes of a finished job, which may never become readable again.
    private func drain(_ job: PumpedJob) {
        while jobs[job.job] != nil, job.waiting == nil, let stream = job.nextToDrain { serve(job, stream) }
    }

    // MARK: Control

    private func receive() {
        var packet = [UInt8](repeating: 0, count: PumpMessage.sizeLimit)
        var numbers: [Int32] = [-1, -1]
        while true {
            var count: Int32 = 2
            let size = joblet_receive_with_fds(control.number, &packet, UInt64(packet.count), &numbers, &count)
            if size == -Int64(EAGAIN) { break }
            if size <= 0 {
                // The shim is gone: what the pipes still give is saved, then this process ends.
                loop.remove(control)
                isOrphaned = true
                for job in jobs.values where job.waiting == .room { wait(job, for: .room) }
                return
            }
            let files = numbers.prefix(Int(count)).map { FileDescriptor(owning: $0) }
            do throws(MalformedMessage) {
                handle(try PumpMessage(packet[..<Int(size)]), files)
            } catch {
                report("malformed message: expected \(error.expected)")
            }
        }
        flush()
    }

    private func handle(_ message: PumpMessage, _ files: [FileDescriptor]) {
        switch message {
        case .add(let job, let plan, let isFinished):
            guard jobs[job] == nil, files.count == 2 else {
                report("\(job.directoryName): \(files.count) pipes arrived")
                return
            }
            let pumped = PumpedJob(job: job, plan: plan, pipes: [.stdout: files[0], .stderr: files[1]])
            jobs[job] = pumped
            room.begin(job)
            if isFinished { pumped.finish() }
            start(pumped)
        case .finish(let job):
            guard let pumped = jobs[job] else { return }
            pumped.finish()
            drain(pumped)
        case .released(let job):
            if let pumped = jobs[job] {
                pumped.recount()
                room.count(pumped)
            } else {
                room.recount(job)
            }
            resume(.room)
            resume(.disk)
        case .configure(let budget):
            room.configure(budget, active: jobs)
            resume(.room)
        case .drained: break
        }
    }

    private func send(_ message: PumpMessage) {
        guard !isOrphaned else { return }
        outgoing.append(message.encoded)
        flush()
    }

    private func flush() {
        guard !outgoing.isEmpty, !isOrphaned else { return }
        while let message = outgoing.first {
            let sent = joblet_send_with_fds(control.number, message, UInt64(message.count), nil, 0)
            if sent == -Int64(EAGAIN) { break }
            outgoing.removeFirst()
        }
        do throws(SystemCallError) {
            try loop.change(control, name: controlName, output: !outgoing.isEmpty)
        } catch {
            report("\(error)")
        }
    }
}
