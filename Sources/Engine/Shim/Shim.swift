import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox

/// The jobs' parent: one thread, one loop, never waiting for anything but events.
///
/// Its directory, on a memory file system: `control` (the socket), `exits`, `root` (where children mount).
final class Shim {
    private let loop: EventLoop
    private let listener: FileDescriptor
    private let listenerName: UInt64
    private let exits: ExitLog
    private let initProgram: FileDescriptor
    private let limits = FileLimit.raise()
    private let pump: PumpSupervisor
    private var userNamespaces = UserNamespaces()
    private var jobs: [ShimJob: RunningJob] = [:]
    private var processes: [UInt64: RunningJob] = [:]
    private var statuses: [UInt64: RunningJob] = [:]
    private var leftovers: [CgroupPlan] = []
    private var daemon: DaemonConnection?
    private var isRetired = false

    init(directory: String) throws(SystemCallError) {
        loop = try EventLoop()
        try Directory.create(directory)
        try Directory.create("\(directory)/root")
        exits = try ExitLog(path: "\(directory)/exits")
        initProgram = try Shim.sealedProgram()
        // Refused without CAP_SYS_RESOURCE; shim and pump then are as likely to be killed as others.
        if (try? writeControl("/proc/self/oom_score_adj", "-1000")) == nil { report("cannot lower the OOM score") }
        pump = PumpSupervisor(loop: loop)
        pump.start(jobs: [])
        // The socket appears last: who can connect finds everything ready.
        listener = FileDescriptor(
            owning: try check(joblet_unix_listen("\(directory)/control", 0), "listen on \(directory)/control"))
        try listener.setNonBlocking()
        listenerName = try loop.add(listener)
    }

    /// A sealed copy of this program, for jobs to execute as their init: no job can change it.
    private static func sealedProgram() throws(SystemCallError) -> FileDescriptor {
        let source = try FileDescriptor.open("/proc/self/exe", flags: O_RDONLY)
        let copy = FileDescriptor(owning: try check(joblet_memfd("joblet-init", 1), "memfd_create"))
        var offset = 0
        while true {
            let part = try source.read(at: offset, count: 1 << 20)
            if part.isEmpty { break }
            try copy.write(part, at: offset)
            offset += part.count
        }
        try check(joblet_memfd_seal(copy.number), "seal the init program")
        return copy
    }

    /// Serves until it is retired and the last job is over.
    func run() throws(SystemCallError) {
        while !(isRetired && jobs.isEmpty) {
            try loop.wait(milliseconds: nextTimeout()) { (name) throws(SystemCallError) in
                if name == listenerName {
                    acceptDaemon()
                } else if name == daemon?.name {
                    serveDaemon()
                } else if name == pump.controlName {
                    for message in pump.receive() { handle(message) }
                } else if name == pump.processName {
                    for message in pump.receive() { handle(message) }
                    pump.ended()
                } else if let job = statuses[name] {
                    readStatus(job)
                } else if let job = processes[name] {
                    reap(job)
                }
            }
            runTimers()
        }
    }

    // MARK: Time

    private func nextTimeout() -> Int32 {
        let now = SystemClock.sinceBoot()
        var times = jobs.values.compactMap { $0.exit == nil ? $0.killAt : nil }
        if let restart = pump.restartAt { times.append(restart) }
        if !leftovers.isEmpty { times.append(now + 20_000_000) }
        guard let next = times.min() else { return -1 }
        return Int32(clamping: max(0, (next - now) / 1_000_000 + 1))
    }

    private func runTimers() {
        let now = SystemClock.sinceBoot()
        for job in jobs.values {
            if let killAt = job.killAt, killAt <= now, job.exit == nil {
                job.killAt = nil
                killAll(job)
            }
        }
        leftovers.removeAll { $0.remove() }
        if let restart = pump.restartAt, restart <= now { pump.start(jobs: Array(jobs.values)) }
    }

    // MARK: The daemon

    private func acceptDaemon() {
        let number = joblet_accept(listener.number)
        guard number >= 0 else { return }
        let socket = FileDescriptor(owning: number)
        var uid: UInt32 = 0
        var pid: Int32 = 0
        guard joblet_peer_uid(socket.number, &uid, &pid) == 0, uid == geteuid() else { return }
        closeDaemon()
        do throws(SystemCallError) {
            daemon = try DaemonConnection(socket: socket, loop: loop)
        } catch {
            report("\(error)")
        }
    }

    private func closeDaemon() {
        if let daemon { loop.remove(daemon.socket) }
        daemon = nil
    }

    private func serveDaemon() {
        daemon?.flush()
        while let connection = daemon {
            switch connection.read() {
            case .waiting: return
            case .closed: closeDaemon()
            case .frame(let number):
                var body = connection.takeBody()
                defer { wipe(&body) }
                do throws(MalformedMessage) {
                    let request = try ShimRequest(number: number, body: body)
                    guard connection.isGreeted || request.isHello else { throw MalformedMessage("hello first") }
                    if case .start(let start) = request { begin(start, body) } else { handle(request, connection) }
                } catch {
                    report("malformed request \(number): expected \(error.expected)")
                    closeDaemon()
                }
            }
        }
    }

    private func handle(_ request: ShimRequest, _ connection: DaemonConnection) {
        switch request {
        case .hello(let lowest, let highest):
            let speaks = lowest...max(lowest, highest) ~= ShimRequest.version
            connection.isGreeted = speaks
            connection.send(
                .welcome(
                    version: speaks ? ShimRequest.version : 0, pid: getpid(),
                    jobs: speaks ? jobs.values.map(\.state) : []))
            // A state has no room for them, and the daemon that was told may be gone.
            for job in jobs.values where !job.isAcknowledged { sendFailure(of: job) }
        case .configure(let budget): pump.configure(budget)
        case .start: break
        case .stop(let id, let grace):
            guard let job = jobs[id], job.exit == nil else { return }
            // Asked before the signal is sent: many handlers begin by restoring the default.
            let isHandled = job.cgroup.handlesTermination
            _ = joblet_pidfd_send_signal(job.process.number, SIGTERM)
            if isHandled {
                let (end, isNever) = SystemClock.sinceBoot().addingReportingOverflow(Int64(clamping: grace))
                job.killAt = isNever ? Int64.max : end
            } else {
                killAll(job)
            }
        case .kill(let id):
            if let job = jobs[id], job.exit == nil { killAll(job) }
        case .acknowledge(let id):
            guard let job = jobs[id] else { return }
            job.isAcknowledged = true
            if job.exit != nil { removeGroups(of: job) }
            forgetIfOver(job)
        case .released(let id): pump.send(.released(OutboxJob(high: id.high, low: id.low)))
        case .retire: isRetired = true
        case .dismiss: if jobs.isEmpty { isRetired = true }
        }
    }

    private func begin(_ request: StartRequest, _ body: [UInt8]) {
        if let known = jobs[request.job] {
            // A repeated start: the daemon did not see the answer.
            if known.failure != nil { return sendFailure(of: known) }
            if known.startedAt != 0 { send(.started(known.job, pid: known.pid, time: known.startedAt)) }
            if let exit = known.exit { send(.exited(exit)) }
            return
        }
        guard !isRetired else {
            send(.startFailed(request.job, step: "shim is retired", code: ESHUTDOWN))
            return
        }
        do throws(JobStart.Failure) {
            let (job, status) = try JobStart.start(
                request, body: body, userNamespaces: &userNamespaces, initProgram: initProgram, limits: limits)
            try follow(job, status)
            jobs[job.job] = job
            pump.add(job)
        } catch {
            send(.startFailed(request.job, step: error.step, code: error.code))
        }
    }

    private func follow(_ job: RunningJob, _ status: FileDescriptor) throws(JobStart.Failure) {
        do throws(SystemCallError) {
            let name = try loop.add(status)
            do throws(SystemCallError) {
                job.processName = try loop.add(job.process)
            } catch {
                loop.remove(status)
                throw error
            }
            job.status = (status, name)
            processes[job.processName] = job
            statuses[name] = job
        } catch {
            // The child cannot be followed, so it must not run.
            killAll(job)
            waitpid(job.pid, nil, 0)
            if !job.cgroup.remove() { leftovers.append(job.cgroup) }
            throw JobStart.Failure(step: "epoll", code: error.code)
        }
    }

    private func sendFailure(of job: RunningJob) {
        guard let (step, code) = job.failure else { return }
        send(.startFailed(job.job, step: step, code: code))
    }

    private func send(_ event: ShimEvent) {
        guard let daemon, daemon.isGreeted else { return }
        daemon.send(event)
    }

    // MARK: Jobs

    /// Reads how far a child came: the marker byte, or the step that failed.
    private func readStatus(_ job: RunningJob) {
        guard let (file, name) = job.status else { return }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = read(file.number, &bytes, bytes.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        loop.remove(file)
        statuses[name] = nil
        job.status = nil
        if count >= 5, bytes[0] == 1 {
            let code = bytes[1..<5].reversed().reduce(Int32(0)) { $0 << 8 | Int32($1) }
            // Without NUL, which no text in a message may hold.
            job.failure = (String(decoding: bytes[5..<count].filter { $0 != 0 }, as: UTF8.self), code)
            sendFailure(of: job)
        } else if count > 0 {
            job.startedAt = SystemClock.now()
            send(.started(job.job, pid: job.pid, time: job.startedAt))
        } else {
            // The end without a marker: it died while it built its sandbox.
            job.failure = ("sandbox (the child died)", ECHILD)
            sendFailure(of: job)
        }
    }

    private func reap(_ job: RunningJob) {
        var (code, status, pid): (Int32, Int32, Int32) = (0, 0, 0)
        guard joblet_wait_pidfd(job.process.number, 1, &code, &status, &pid) == 1 else { return }
        if job.status != nil { readStatus(job) }
        let exited = code == Int32(CLD_EXITED)
        let record = ExitRecord(
            job: job.job, token: job.token, time: SystemClock.now(), exitCode: exited ? status : -1,
            signal: exited ? 0 : status, ranOutOfMemory: job.cgroup.ranOutOfMemory)
        do throws(SystemCallError) {
            try exits.append(record)
        } catch {
            // A full memory file system must not end every other job: the daemon hears of this exit anyway.
            report("\(error)")
        }
        _ = joblet_wait_pidfd(job.process.number, 0, &code, &status, &pid)
        loop.remove(job.process)
        processes[job.processName] = nil
        job.exit = record
        // PID 1 of the namespace is gone, so every process of the job is. The daemon reads what the groups counted
        // before it acknowledges the exit.
        if job.isAcknowledged { removeGroups(of: job) }
        pump.send(.finish(job.outboxJob))
        if job.failure == nil { send(.exited(record)) }
        forgetIfOver(job)
    }

    private func removeGroups(of job: RunningJob) {
        if !job.cgroup.remove() { leftovers.append(job.cgroup) }
    }

    private func killAll(_ job: RunningJob) {
        // The end of PID 1 ends its namespace; the group's own switch is there for what v2 adds.
        _ = joblet_pidfd_send_signal(job.process.number, SIGKILL)
        if job.cgroup.isUnified, let directory = job.cgroup.directories.first {
            _ = try? writeControl("\(directory)/cgroup.kill", "1")
        }
    }

    private func handle(_ message: PumpMessage) {
        guard case .drained(let id, let position) = message,
            let job = jobs[ShimJob(high: id.high, low: id.low)]
        else { return }
        job.isDrained = true
        job.pipes = []
        send(.drained(job.job, position: position))
        forgetIfOver(job)
    }

    private func forgetIfOver(_ job: RunningJob) {
        guard job.exit != nil, job.isDrained, job.isAcknowledged else { return }
        jobs[job.job] = nil
        do throws(SystemCallError) {
            try exits.compact { jobs.values.compactMap(\.exit) }
        } catch {
            report("\(error)")
        }
    }
}
