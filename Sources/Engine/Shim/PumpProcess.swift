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
    /// A round whose moves were all below this is followed by a pause, so that many small writes become few
    /// moves.
    private static let smallMove = 16 << 10
    private static let pauseMilliseconds: Int32 = 1
    private static let diskRetryMilliseconds: Int32 = 250

    private let loop: EventLoop
    private let control: FileDescriptor
    private let controlName: UInt64
    private let null: FileDescriptor
    private var jobs: [OutboxJob: PumpedJob] = [:]
    private var byName: [UInt64: (job: PumpedJob, stream: OutputStream)] = [:]
    private var budget: OutboxBudget?
    private var finished: [OutboxJob: Int] = [:]
    private var outgoing: [[UInt8]] = []
    private var isOrphaned = false
    private var largestMove = 0

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
            largestMove = 0
            let waitsForDisk = jobs.values.contains { $0.waiting == .disk }
            try loop.wait(milliseconds: waitsForDisk ? PumpProcess.diskRetryMilliseconds : -1) {
                (name) throws(SystemCallError) in
                if name == controlName {
                    try receive()
                } else if let (job, stream) = byName[name] {
                    serve(job, stream)
                }
            }
            if waitsForDisk { resume(.disk) }
            if largestMove > 0, largestMove < PumpProcess.smallMove { pause() }
        }
    }

    /// Waits a moment for more output, or until the shim says something.
    private func pause() {
        var descriptor = pollfd(fd: isOrphaned ? -1 : control.number, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, PumpProcess.pauseMilliseconds)
    }

    // MARK: Jobs

    private func serve(_ job: PumpedJob, _ stream: OutputStream) {
        do throws(SystemCallError) {
            switch try job.turn(stream, overLimit: isOverLimit(job), null: null) {
            case .moved(let count): largestMove = max(largestMove, count)
            case .done:
                unwatch(job, stream)
                try endIfDone(job)
            case .full: wait(job, for: .room)
            }
        } catch {
            if job.waiting != .disk { report("\(job.job.directoryName): \(error)") }
            wait(job, for: .disk)
        }
    }

    private func endIfDone(_ job: PumpedJob) throws(SystemCallError) {
        guard try job.endIfDone(), let position = job.endPosition else { return }
        for stream in OutputStream.allCases { unwatch(job, stream) }
        jobs[job.job] = nil
        finished[job.job] = job.outstanding
        send(.drained(job.job, position: position))
    }

    private func watch(_ job: PumpedJob) {
        do throws(SystemCallError) {
            for (stream, pipe) in job.pipes where job.names[stream] == nil {
                let name = try loop.add(pipe)
                job.names[stream] = name
                byName[name] = (job, stream)
            }
        } catch {
            report("\(error)")
            wait(job, for: .disk)
        }
    }

    private func unwatch(_ job: PumpedJob, _ stream: OutputStream) {
        guard let name = job.names.removeValue(forKey: stream) else { return }
        byName[name] = nil
        if let pipe = job.pipes[stream] { loop.remove(pipe) }
    }

    private func wait(_ job: PumpedJob, for reason: PumpedJob.Waiting) {
        for stream in OutputStream.allCases { unwatch(job, stream) }
        job.waiting = reason
    }

    private func resume(_ reason: PumpedJob.Waiting) {
        for job in jobs.values where job.waiting == reason {
            job.waiting = nil
            start(job)
        }
    }

    /// Serves a job that begins, or may go on.
    private func start(_ job: PumpedJob) {
        do throws(SystemCallError) {
            try job.open()
            try endIfDone(job)
            if jobs[job.job] != nil { watch(job) }
        } catch {
            if job.waiting != .disk { report("\(job.job.directoryName): \(error)") }
            wait(job, for: .disk)
        }
    }

    // MARK: Limits

    private var used: Int {
        jobs.values.reduce(finished.values.reduce(0, +)) { $0 + $1.outstanding }
    }

    /// Whether a job must wait: at its own limit, at the node's, or near the node's if it holds more than its
    /// share, so that the largest stops first.
    private func isOverLimit(_ job: PumpedJob) -> Bool {
        if job.isOverOwnLimit { return true }
        guard let budget else { return false }
        let limit = Int(clamping: budget.nodeBytes)
        let used = used
        if used >= limit { return true }
        return used >= limit - limit / 8 && job.outstanding * (jobs.count + finished.count) > used
    }

    private func recount(_ job: OutboxJob) {
        if let pumped = jobs[job] {
            pumped.recount()
        } else if let budget {
            let size = OutboxUsage.bytes(root: budget.root, job: job)
            finished[job] = size == 0 ? nil : size
        }
        resume(.room)
    }

    // MARK: Control

    private func receive() throws(SystemCallError) {
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
            guard jobs[job] == nil, files.count == 2 else { return }
            let pumped = PumpedJob(job: job, plan: plan, pipes: [.stdout: files[0], .stderr: files[1]])
            jobs[job] = pumped
            finished[job] = nil
            if isFinished { pumped.finish() }
            start(pumped)
            if isFinished { drain(pumped) }
        case .finish(let job):
            guard let pumped = jobs[job] else { return }
            pumped.finish()
            drain(pumped)
        case .released(let job): recount(job)
        case .configure(let budget):
            self.budget = budget
            for (job, bytes) in OutboxUsage.all(root: budget.root) where jobs[job] == nil { finished[job] = bytes }
            resume(.room)
        case .drained: break
        }
    }

    /// Takes what is left in the pipes of a finished job, which may never become readable again.
    private func drain(_ job: PumpedJob) {
        while jobs[job.job] != nil, job.waiting == nil, let stream = job.pipes.keys.min(by: { $0.rawValue < $1.rawValue }) {
            serve(job, stream)
        }
    }

    private func send(_ message: PumpMessage) {
        guard !isOrphaned else { return }
        outgoing.append(message.encoded)
        flush()
    }

    private func flush() {
        while let message = outgoing.first {
            let sent = joblet_send_with_fds(control.number, message, UInt64(message.count), nil, 0)
            if sent == -Int64(EAGAIN) { break }
            outgoing.removeFirst()
        }
        guard !isOrphaned else { return }
        do throws(SystemCallError) {
            try loop.change(control, name: controlName, output: !outgoing.isEmpty)
        } catch {
            report("\(error)")
        }
    }
}
