import CLinux
import Foundation
import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport

@testable import Engine

/// A real shim in a directory of its own, and a blocking client of its control socket.
final class ShimProcess {
    let directory: TemporaryDirectory
    let outbox: String
    private(set) var pid: pid_t = 0
    private var socket: FileDescriptor?
    private var pending: [ShimEvent] = []

    /// Starts a shim; `failPoint` arms a place in it and its pump, `openFiles` is its usual limit on open files.
    init(failPoint: String? = nil, outbox: String? = nil, openFiles: Int? = nil) throws {
        directory = try TemporaryDirectory(in: "/run", name: "joblet-shim-test")
        self.outbox = outbox ?? directory.path + "/outbox"
        try Directory.create(self.outbox)
        pid = try spawn(failPoint, openFiles)
        try connect()
    }

    deinit {
        socket = nil
        // Jobs end with their groups; a pump would go on after the shim's death until their pipes are drained.
        let children = (try? readText("/proc/\(pid)/task/\(pid)/children")) ?? ""
        kill(pid, SIGKILL)
        for child in children.split(separator: " ") { pid_t(child).map { _ = kill($0, SIGKILL) } }
        waitpid(pid, nil, 0)
        let deadline = SystemClock.sinceBoot() + 10_000_000_000
        for group in usedGroups.joined() {
            while rmdir(group) != 0, errno == EBUSY, SystemClock.sinceBoot() < deadline {
                let processes = (try? readText("\(group)/cgroup.procs")) ?? ""
                for process in processes.split(separator: "\n") { pid_t(process).map { _ = kill($0, SIGKILL) } }
                poll(nil, 0, 1)
            }
        }
    }

    private var usedGroups: [[String]] = []

    private func spawn(_ failPoint: String?, _ openFiles: Int?) throws -> pid_t {
        var program = Products.path("joblet-shim")
        var words = ["joblet-shim", "serve", directory.path]
        if let openFiles {
            words =
                ["bash", "-c", "ulimit -Sn \(openFiles); exec -a joblet-shim \"$0\" \"$@\"", program]
                + words.dropFirst()
            program = "/bin/bash"
        }
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/bin:/bin")]
        if let failPoint { environment.append(strdup("JOBLET_FAILPOINT=\(failPoint)")) }
        environment.append(nil)
        var pid: pid_t = 0
        let status = posix_spawn(&pid, program, nil, nil, arguments, environment)
        guard status == 0 else { throw SystemCallError("spawn the shim", code: status) }
        return pid
    }

    /// Connects, once the socket is there, and greets.
    func connect() throws {
        let deadline = SystemClock.sinceBoot() + 60_000_000_000
        while true {
            let number = joblet_unix_connect("\(directory.path)/control", 0)
            if number >= 0 {
                socket = FileDescriptor(owning: number)
                break
            }
            // The socket appears when the shim is ready; there is nothing to wait on before.
            guard SystemClock.sinceBoot() < deadline else { throw SystemCallError("connect", code: -number) }
            sched_yield()
        }
        send(.hello(lowest: 1, highest: 1))
    }

    func disconnect() { socket = nil }

    func send(_ request: ShimRequest) {
        guard let socket else { return }
        let frame = request.frame
        _ = joblet_send_with_fds(socket.number, frame, UInt64(frame.count), nil, 0)
    }

    /// The next event that `pick` wants; others are kept.
    func next<Value>(seconds: Int = 90, _ pick: (ShimEvent) -> Value?) throws -> Value {
        let deadline = SystemClock.sinceBoot() + Int64(seconds) * 1_000_000_000
        while true {
            for (index, event) in pending.enumerated() {
                if let value = pick(event) {
                    pending.remove(at: index)
                    return value
                }
            }
            pending.append(try receive(until: deadline))
        }
    }

    private func receive(until deadline: Int64) throws -> ShimEvent {
        let (number, count) = try ShimFrame.decode(header: try read(ShimFrame.headerSize, until: deadline))
        return try ShimEvent(number: number, body: count == 0 ? [] : try read(count, until: deadline))
    }

    private func read(_ count: Int, until deadline: Int64) throws -> [UInt8] {
        guard let socket else { throw SystemCallError("not connected", code: ENOTCONN) }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            var descriptor = pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0)
            let left = max(0, (deadline - SystemClock.sinceBoot()) / 1_000_000)
            guard poll(&descriptor, 1, Int32(left)) > 0 else { throw SystemCallError("no event", code: ETIMEDOUT) }
            let part = bytes.withUnsafeMutableBytes {
                recv(socket.number, $0.baseAddress.map { $0 + done }, count - done, 0)
            }
            guard part > 0 else { throw SystemCallError("the shim hung up", code: EPIPE) }
            done += part
        }
        return bytes
    }

    // MARK: Jobs

    /// Starts `arguments` in a sandbox and returns the job.
    @discardableResult
    func start(
        _ arguments: [String], limits: OutputPlan? = nil, cgroup: TestCgroup = TestCgroup(),
        configure: (inout SandboxPlan) -> Void = { _ in }
    ) throws -> ShimJob {
        let job = ShimJob(high: .random(in: 0...UInt64.max), low: .random(in: 0...UInt64.max))
        var plan = SandboxPlan.forTests(rootMount: "\(directory.path)/root", arguments: arguments)
        configure(&plan)
        let groups = cgroup.plan(for: job)
        usedGroups.append(groups.directories)
        send(
            .start(
                StartRequest(
                    token: .random(in: 1...UInt64.max), job: job,
                    cgroup: groups,
                    output: limits
                        ?? OutputPlan(root: outbox, segmentBytes: 64 << 20, jobBytes: 1 << 30, dropsAtLimit: false),
                    plan: plan)))
        return job
    }

    func exit(of job: ShimJob, seconds: Int = 90) throws -> ExitRecord {
        try next(seconds: seconds) { event in
            if case .exited(let record) = event, record.job == job { record } else { nil }
        }
    }

    func drained(_ job: ShimJob, seconds: Int = 90) throws -> UInt64 {
        try next(seconds: seconds) { event in
            if case .drained(job, let position) = event { position } else { nil }
        }
    }

    /// Runs a job to its end; returns how it ended and what it wrote.
    func run(
        _ arguments: [String], cgroup: TestCgroup = TestCgroup(),
        configure: (inout SandboxPlan) -> Void = { _ in }
    ) throws -> (exit: ExitRecord, stdout: [UInt8], stderr: [UInt8]) {
        let job = try start(arguments, cgroup: cgroup, configure: configure)
        let record = try next { event -> Result<ExitRecord, SystemCallError>? in
            switch event {
            case .exited(let record) where record.job == job: .success(record)
            case .startFailed(job, let step, let code): .failure(SystemCallError(step, code: code))
            default: nil
            }
        }.get()
        _ = try drained(job)
        return (record, try output(of: job, .stdout), try output(of: job, .stderr))
    }

    /// What the outbox holds of a job's stream.
    func output(of job: ShimJob, _ stream: Outbox.OutputStream) throws -> [UInt8] {
        let identity = OutboxJob(high: job.high, low: job.low)
        guard let reader = try OutboxReader(root: outbox, job: identity) else { return [] }
        var bytes: [UInt8] = []
        while true {
            let batch = try reader.read(maxBytes: 1 << 20)
            if batch.pieces.isEmpty { return bytes }
            var offset = 0
            for piece in batch.pieces {
                if piece.stream == stream { bytes += batch.bytes[offset..<offset + piece.count] }
                offset += piece.count
            }
        }
    }
}

extension SandboxPlan {
    private static let testBinds = ["/usr", "/etc"]
    /// Whether the file systems of `testBinds` can show their files as owned by the job's root.
    private static let mapsTestBinds = HostCapabilities.probe(binds: testBinds)
        .idmappable.isSuperset(of: testBinds)

    /// A sandbox of the host's programs, with user and network namespaces.
    static func forTests(rootMount: String, arguments: [String]) -> SandboxPlan {
        var plan = SandboxPlan()
        plan.rootMount = rootMount
        plan.hostname = "job-test"
        plan.arguments = arguments
        plan.environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/work"]
        plan.binds = testBinds.map { Bind(source: $0, target: $0) }
        plan.mapsFileOwners = mapsTestBinds
        for name in ["bin", "sbin", "lib", "lib64"] {
            plan.links.append(Link(destination: "usr/\(name)", path: "/\(name)"))
        }
        plan.idBase = 0x1000_0000
        return plan
    }
}
