import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox

/// Keeps one pump running and tells it what to move; starts another when it dies.
///
/// Messages wait here while a pump is stuck on its disk, so the shim itself never waits.
final class PumpSupervisor {
    private struct Packet {
        let message: PumpMessage
        let files: [FileDescriptor]
    }

    /// How long a pump that cannot start or live is left alone, in nanoseconds.
    private static let pause: Int64 = 200_000_000

    private let loop: EventLoop
    private var control: FileDescriptor?
    private var process: FileDescriptor?
    private var pending: [Packet] = []
    private var watchesOutput = false
    private(set) var controlName: UInt64 = 0
    private(set) var processName: UInt64 = 0
    private var budget: OutboxBudget?
    /// When the next pump may start, in nanoseconds since boot; nil while one runs.
    private(set) var restartAt: Int64?
    private var startedAt: Int64 = 0
    private var hasStarted = false

    init(loop: EventLoop) {
        self.loop = loop
    }

    /// Starts a pump and gives it every job whose log is not complete; where that fails, tries again later.
    func start(jobs: [RunningJob]) {
        do throws(SystemCallError) {
            try spawn()
        } catch {
            report("\(error)")
            restartAt = SystemClock.sinceBoot() + PumpSupervisor.pause
            return
        }
        if let budget { send(.configure(budget)) }
        for job in jobs where !job.isDrained { add(job) }
    }

    private func spawn() throws(SystemCallError) {
        var ends: [Int32] = [-1, -1]
        try check(joblet_packet_pair(&ends), "socketpair")
        let ours = FileDescriptor(owning: ends[0])
        let theirs = FileDescriptor(owning: ends[1])
        var number: Int32 = -1
        let pid = try check(joblet_clone3(0, -1, &number), "clone a pump")
        if pid == 0 { PumpSupervisor.become(theirs, isFirst: !hasStarted) }
        let child = FileDescriptor(owning: number)
        do throws(SystemCallError) {
            try ours.setNonBlocking()
            processName = try loop.add(child)
            controlName = try loop.add(ours)
        } catch {
            // It cannot be followed, so it must not run.
            loop.remove(child)
            _ = joblet_pidfd_send_signal(child.number, SIGKILL)
            waitpid(pid, nil, 0)
            throw error
        }
        process = child
        control = ours
        watchesOutput = false
        restartAt = nil
        startedAt = SystemClock.sinceBoot()
        hasStarted = true
        pending = []
    }

    private static func become(_ control: FileDescriptor, isFirst: Bool) -> Never {
        // An armed place is meant for one pump: the next has to repair what that one left.
        if !isFirst { unsetenv(FailPoint.variable) }
        // The child: a pump has nothing of the shim's but its socket.
        dup2(control.number, PumpProcess.controlDescriptor)
        joblet_close_range(UInt32(PumpProcess.controlDescriptor) + 1, UInt32.max, 0)
        var arguments = [strdup("joblet-shim"), strdup("pump"), nil]
        execv("/proc/self/exe", &arguments)
        _exit(127)
    }

    /// The pump ended: collects it and plans the next.
    func ended() {
        if let process {
            var (code, status, pid): (Int32, Int32, Int32) = (0, 0, 0)
            _ = joblet_wait_pidfd(process.number, 0, &code, &status, &pid)
            loop.remove(process)
        }
        if let control { loop.remove(control) }
        process = nil
        control = nil
        // At once if it lived for a second; else after a moment, so that a pump that cannot start does
        // not take the processor.
        let now = SystemClock.sinceBoot()
        restartAt = now - startedAt > 1_000_000_000 ? now : now + PumpSupervisor.pause
        report("the pump ended; starting another")
    }

    private func stop() {
        pending = []
        if let process { _ = joblet_pidfd_send_signal(process.number, SIGKILL) }
        if let control { loop.remove(control) }
        control = nil
    }

    func configure(_ budget: OutboxBudget) {
        self.budget = budget
        send(.configure(budget))
    }

    func add(_ job: RunningJob) {
        guard job.pipes.count == 2 else { return }
        send(.add(job.outboxJob, job.output, isFinished: job.exit != nil), job.pipes)
    }

    func send(_ message: PumpMessage, _ files: [FileDescriptor] = []) {
        guard control != nil else { return }
        pending.append(Packet(message: message, files: files))
        flush()
    }

    /// Sends what waits, as far as the socket takes it.
    func flush() {
        guard let control else { return }
        while let packet = pending.first {
            let bytes = packet.message.encoded
            let numbers = packet.files.map(\.number)
            let sent = joblet_send_with_fds(control.number, bytes, UInt64(bytes.count), numbers, Int32(numbers.count))
            if sent == -Int64(EAGAIN) { break }
            if sent < 0, sent != -Int64(EPIPE), sent != -Int64(ECONNRESET) {
                // Without the message a job's output would lie in its pipe for ever: a new pump gets them all.
                report("\(SystemCallError("tell the pump", code: Int32(-sent)))")
                stop()
                return
            }
            pending.removeFirst()
        }
        guard watchesOutput == pending.isEmpty else { return }
        watchesOutput = !pending.isEmpty
        do throws(SystemCallError) {
            try loop.change(control, name: controlName, output: watchesOutput)
        } catch {
            report("\(error)")
        }
    }

    /// The messages that arrived from the pump.
    func receive() -> [PumpMessage] {
        guard let control else { return [] }
        flush()
        var messages: [PumpMessage] = []
        var packet = [UInt8](repeating: 0, count: PumpMessage.sizeLimit)
        var count: Int32 = 0
        while true {
            let size = joblet_receive_with_fds(control.number, &packet, UInt64(packet.count), nil, &count)
            if size <= 0 {
                // At its end: the pidfd tells the rest.
                if size == 0 { loop.remove(control) }
                return messages
            }
            do throws(MalformedMessage) {
                messages.append(try PumpMessage(packet[..<Int(size)]))
            } catch {
                report("malformed message from the pump: expected \(error.expected)")
            }
        }
    }
}
