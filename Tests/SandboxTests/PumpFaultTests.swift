import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport
import Testing

/// Two files of random bytes that a job writes to its streams.
struct Noise {
    let directory: TemporaryDirectory
    let stdout: [UInt8]
    let stderr: [UInt8]

    /// Writes `cat` with both, at once, and waits for both.
    static let command = ["sh", "-c", "cat /data/out & cat /data/err >&2; wait"]

    init(seed: UInt64, stdout: Int, stderr: Int) throws {
        var random = SeededGenerator(seed: seed)
        directory = try TemporaryDirectory(in: "/run", name: "joblet-noise")
        self.stdout = random.bytes(stdout)
        self.stderr = random.bytes(stderr)
        for (name, bytes) in [("out", self.stdout), ("err", self.stderr)] {
            try FileDescriptor.open("\(directory.path)/\(name)", flags: O_WRONLY | O_CREAT, mode: 0o644)
                .write(bytes, at: 0)
        }
        guard chmod(directory.path, 0o755) == 0 else { throw SystemCallError.current("chmod") }
    }

    func bind(_ plan: inout SandboxPlan) {
        plan.binds.append(.init(source: directory.path, target: "/data"))
    }
}

extension ShimProcess {
    /// The pump that serves now; nil while there is none.
    var pump: pid_t? {
        let children = (try? readText("/proc/\(pid)/task/\(pid)/children")) ?? ""
        return children.split(separator: " ").compactMap { pid_t($0) }.first { pid in
            (try? readText("/proc/\(pid)/cmdline"))?.split(separator: "\0").dropFirst().first == "pump"
        }
    }

    /// Waits for a pump other than `old`.
    func nextPump(after old: pid_t? = nil) throws -> pid_t {
        var found: pid_t?
        _ = eventually {
            found = pump
            return found != nil && found != old
        }
        guard let found, found != old else { throw SystemCallError("no pump", code: ESRCH) }
        return found
    }

    /// Kills the pump, and waits until it is gone.
    func killPump() throws -> pid_t {
        let pid = try nextPump()
        let process = FileDescriptor(owning: try check(joblet_pidfd_open(pid), "pidfd_open"))
        try check(joblet_pidfd_send_signal(process.number, SIGKILL), "kill")
        var waiting = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 10_000) == 1 else { throw SystemCallError("the pump lives", code: ETIMEDOUT) }
        return pid
    }

    func contents(of job: ShimJob) throws -> OutboxContents {
        try OutboxContents(root: outbox, job: OutboxJob(high: job.high, low: job.low))
    }

    func limits(segmentBytes: UInt64 = 1 << 20, jobBytes: UInt64 = 1 << 30) -> OutputPlan {
        OutputPlan(root: outbox, segmentBytes: segmentBytes, jobBytes: jobBytes, dropsAtLimit: false)
    }

    func started(_ job: ShimJob) throws -> pid_t {
        try next { event in
            switch event {
            case .started(job, let pid, _): Result<pid_t, SystemCallError>.success(pid)
            case .startFailed(job, let step, let code): .failure(SystemCallError(step, code: code))
            default: nil
            }
        }.get()
    }
}

@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct PumpFaultTests {
    static let places = PumpTests.diskPlaces + ["pump.beforeDrained", "pump.afterDrained"]

    @Test("a pump that dies at any place loses no byte", arguments: places)
    func killed(_ place: String) throws {
        for passing in place.hasSuffix("End") || place.hasSuffix("Drained") ? [1] : [1, 5] {
            let shim = try ShimProcess(failPoint: "\(place)=kill@\(passing)")
            let first = try shim.nextPump()
            let noise = try Noise(seed: 1, stdout: 900_000, stderr: 700_000)
            let job = try shim.start(
                Noise.command, limits: shim.limits(segmentBytes: 200_000), configure: noise.bind)
            #expect(try shim.exit(of: job).exitCode == 0)
            #expect(try shim.drained(job) == 1_600_000)
            let contents = try shim.contents(of: job)
            #expect(contents.bytes[.stdout] == noise.stdout)
            #expect(contents.bytes[.stderr] == noise.stderr)
            #expect(contents.isAtEnd)
            // Only the first pump was armed, and it did die.
            #expect(try shim.nextPump(after: first) != first)
        }
    }

    @Test("a million lines arrive in order though the pump is killed again and again") func lines() throws {
        let shim = try ShimProcess()
        let job = try shim.start(
            ["perl", "-e", "for (1..1000000) { syswrite STDOUT, \"$_\\n\" }"],
            limits: shim.limits(segmentBytes: 500_000))
        var kills = 0
        var last = try shim.nextPump()
        let outboxJob = OutboxJob(high: job.high, low: job.low)
        for step in 1...8 {
            // Each at another moment, and the last long before the end, which is at 6.9 MB.
            let reached = eventually { OutboxUsage.bytes(root: shim.outbox, job: outboxJob) > step * 600_000 }
            #expect(reached)
            last = try shim.killPump()
            kills += 1
            _ = try shim.nextPump(after: last)
        }
        #expect(try shim.exit(of: job, seconds: 60).exitCode == 0)
        #expect(try shim.drained(job, seconds: 60) == 6_888_896)
        let bytes = try shim.contents(of: job).bytes[.stdout, default: []]
        var expected: [UInt8] = []
        for number in 1...1_000_000 { expected += Array("\(number)\n".utf8) }
        #expect(bytes == expected)
        #expect(kills == 8)
    }

    @Test("a stopped pump holds up no start, stop or exit, and loses nothing") func stopped() throws {
        let shim = try ShimProcess()
        let noise = try Noise(seed: 2, stdout: 3_000_000, stderr: 400_000)
        let pump = try shim.nextPump()
        #expect(kill(pump, SIGSTOP) == 0)
        let large = try shim.start(Noise.command, configure: noise.bind)
        _ = try shim.started(large)
        let small = try shim.start(["sh", "-c", "cat /data/err; exit 7"], configure: noise.bind)
        #expect(try shim.exit(of: small).exitCode == 7)
        let sleeper = try shim.start(["sleep", "1000"])
        _ = try shim.started(sleeper)
        shim.send(.stop(sleeper, grace: 0))
        #expect(try shim.exit(of: sleeper).signal == SIGKILL)
        for _ in 0..<20 {
            let job = try shim.start(["true"])
            #expect(try shim.exit(of: job).exitCode == 0)
        }
        #expect(kill(pump, SIGCONT) == 0)
        #expect(try shim.exit(of: large).exitCode == 0)
        #expect(try shim.drained(large) == 3_400_000)
        #expect(try shim.drained(small) == 400_000)
        #expect(try shim.drained(sleeper) == 0)
        let contents = try shim.contents(of: large)
        #expect(contents.bytes[.stdout] == noise.stdout)
        #expect(contents.bytes[.stderr] == noise.stderr)
        #expect(try shim.contents(of: small).bytes[.stdout] == noise.stderr)
    }

    @Test("a log ends after its job though a process outside holds its output open") func survivor() throws {
        let shim = try ShimProcess()
        let job = try shim.start(["sh", "-c", "echo ready; exec sleep 1000"])
        let pid = try shim.started(job)
        let isReady = try eventually { try shim.contents(of: job).bytes[.stdout] == Array("ready\n".utf8) }
        #expect(isReady)
        let held = try FileDescriptor.open("/proc/\(pid)/fd/1", flags: O_WRONLY | O_NONBLOCK)
        shim.send(.kill(job))
        #expect(try shim.exit(of: job).signal == SIGKILL)
        #expect(try shim.drained(job) == 6)
        // Nobody reads any more, and nothing is added.
        signal(SIGPIPE, SIG_IGN)
        let (written, code) = (write(held.number, "late", 4), errno)
        #expect(written == -1 && code == EPIPE)
        #expect(try shim.contents(of: job).isAtEnd)
    }

    @Test("jobs beyond the usual limit on open files run, and have that limit themselves") func manyFiles() throws {
        let shim = try ShimProcess(openFiles: 80)
        let jobs = try (0..<40).map { _ in try shim.start(["sh", "-c", "ulimit -n; exec sleep 1000"]) }
        for job in jobs {
            _ = try shim.started(job)
            let said = try eventually { try shim.contents(of: job).bytes[.stdout] == Array("80\n".utf8) }
            #expect(said)
        }
        for job in jobs { shim.send(.kill(job)) }
        for job in jobs { #expect(try shim.drained(job) == 3) }
    }
}
