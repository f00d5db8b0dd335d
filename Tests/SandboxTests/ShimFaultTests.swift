import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport
import Testing

@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct ShimFaultTests {
    /// The records in a shim's `exits` file, each of which must be whole.
    private static func exits(of shim: ShimProcess) throws -> [ExitRecord] {
        let bytes = try FileDescriptor.open("\(shim.directory.path)/exits", flags: O_RDONLY).read(at: 0, count: 1 << 20)
        return stride(from: 0, to: bytes.count, by: ExitRecord.size).compactMap { start in
            ExitRecord(entry: bytes[start..<min(start + ExitRecord.size, bytes.count)])
        }
    }

    private static func waitForEnd(of process: FileDescriptor) -> Bool {
        var waiting = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 90_000) == 1
    }

    @Test("when the shim is killed under load its pump drains every pipe and exits") func killed() throws {
        let shim = try ShimProcess()
        let ended = try shim.start(["sh", "-c", "echo done; exit 5"])
        #expect(try shim.exit(of: ended).exitCode == 5)
        let noise = try Noise(seed: 3, stdout: 2_000_000, stderr: 500_000)
        var jobs: [(ShimJob, pid_t)] = []
        for _ in 0..<4 {
            // Each goes on after its output, so that only its group's end ends it.
            let script = "cat /data/out; cat /data/err >&2; exec sleep 1000"
            let job = try shim.start(["sh", "-c", script], configure: noise.bind)
            jobs.append((job, try shim.started(job)))
        }
        let pump = FileDescriptor(owning: try check(joblet_pidfd_open(try shim.nextPump()), "pidfd_open"))
        #expect(kill(shim.pid, SIGKILL) == 0)
        // As the daemon does: the jobs' processes go, after they wrote everything.
        for (_, pid) in jobs {
            let isWritten = eventually { (try? readText("/proc/\(pid)/comm")) == "sleep\n" }
            #expect(isWritten)
            #expect(kill(pid, SIGKILL) == 0)
        }
        #expect(ShimFaultTests.waitForEnd(of: pump))
        for (job, _) in jobs {
            let contents = try shim.contents(of: job)
            #expect(contents.isAtEnd)
            #expect(contents.bytes[.stdout] == noise.stdout)
            #expect(contents.bytes[.stderr] == noise.stderr)
        }
        let records = try ShimFaultTests.exits(of: shim)
        #expect(records.map(\.job) == [ended])
        #expect(records.map(\.exitCode) == [5])
    }

    @Test(
        "a shim that dies at any place leaves whole exit records and no process",
        arguments: [
            ("shim.beforeClone", 0), ("shim.afterClone", 0), ("shim.beforeExitRecord", 0), ("shim.afterExitRecord", 1),
        ])
    func killedAt(_ place: String, _ records: Int) throws {
        let shim = try ShimProcess(failPoint: "\(place)=kill")
        let pump = FileDescriptor(owning: try check(joblet_pidfd_open(try shim.nextPump()), "pidfd_open"))
        let process = FileDescriptor(owning: try check(joblet_pidfd_open(shim.pid), "pidfd_open"))
        let job = try shim.start(["sh", "-c", "echo x; exit 4"])
        #expect(ShimFaultTests.waitForEnd(of: process))
        #expect(ShimFaultTests.waitForEnd(of: pump))
        let found = try ShimFaultTests.exits(of: shim)
        #expect(found.map(\.job) == [ShimJob](repeating: job, count: records))
        #expect(found.map(\.exitCode) == [Int32](repeating: 4, count: records))
        if place.hasSuffix("ExitRecord") { #expect(try shim.contents(of: job).bytes[.stdout] == Array("x\n".utf8)) }
    }

    @Test("a daemon that comes back is told of every job, and a repeated start starts nothing")
    func reconnect() throws {
        let shim = try ShimProcess()
        let running = try shim.start(["sleep", "1000"])
        let pid = try shim.started(running)
        let ended = try shim.start(["sh", "-c", "echo x; exit 3"])
        #expect(try shim.exit(of: ended).exitCode == 3)
        _ = try shim.drained(ended)
        let failed = try shim.start(["true"]) { $0.workDirectory = "/missing" }
        let isFailed = { (event: ShimEvent) -> String? in
            if case .startFailed(failed, let step, _) = event { step } else { nil }
        }
        let step = try shim.next(isFailed)
        #expect(step.hasPrefix("work directory"))
        _ = try shim.next { if case .drained(failed, _) = $0 { true } else { nil } }
        shim.disconnect()
        try shim.connect()
        var welcomes = 0
        var jobs: [ShimJobState] = []
        while welcomes < 2 {
            jobs = try shim.next { if case .welcome(1, shim.pid, let jobs) = $0 { jobs } else { nil } }
            welcomes += 1
        }
        #expect(Set(jobs.map(\.job)) == [running, ended, failed])
        let states = Dictionary(uniqueKeysWithValues: jobs.map { ($0.job, $0) })
        #expect(states[running]?.pid == pid)
        #expect(states[running]?.exit == nil)
        #expect(states[ended]?.exit?.exitCode == 3)
        #expect(states[ended]?.isDrained == true)
        #expect(try shim.next(isFailed) == step)

        // The same start once more: its answer, and no second process.
        let state = try #require(states[running])
        let request = StartRequest(
            token: state.token, job: running,
            cgroup: CgroupPlan(isUnified: false, directories: [], settings: [], outOfMemoryEvents: ""),
            output: shim.limits(),
            plan: .forTests(rootMount: "\(shim.directory.path)/root", arguments: ["sleep", "1000"]))
        shim.send(.start(request))
        #expect(try shim.started(running) == pid)
        let areTwo = try eventually {
            try readText("/proc/\(shim.pid)/task/\(shim.pid)/children").split(separator: " ").count == 2
        }
        #expect(areTwo)

        // What is acknowledged and complete is forgotten.
        for job in [ended, failed] { shim.send(.acknowledge(job)) }
        shim.disconnect()
        try shim.connect()
        #expect(try shim.next { if case .welcome(_, _, let jobs) = $0 { jobs.map(\.job) } else { nil } } == [running])
        // It has a job.
        shim.send(.dismiss)
        shim.send(.retire)
        shim.send(.kill(running))
        #expect(try shim.exit(of: running).signal == SIGKILL)
        _ = try shim.drained(running)
        let process = FileDescriptor(owning: try check(joblet_pidfd_open(shim.pid), "pidfd_open"))
        shim.send(.acknowledge(running))
        #expect(ShimFaultTests.waitForEnd(of: process))
    }

    @Test("requests that make no sense harm no job", arguments: 0..<2)
    func garbage(_ seed: UInt64) throws {
        let shim = try ShimProcess()
        let job = try shim.start(["sleep", "1000"])
        _ = try shim.started(job)
        shim.send(.stop(ShimJob(high: 1, low: 1), grace: .max))
        shim.send(.released(job))
        var random = SeededGenerator(seed: seed)
        for number: UInt16 in [2, 3, 4, 5, 6, 7, 9, 500] {
            let noise = random.bytes(.random(in: 0...100, using: &random))
            var frame = ByteWriter()
            frame.write(UInt32(noise.count + 2))
            frame.write(number)
            let socket = FileDescriptor(
                owning: try check(joblet_unix_connect("\(shim.directory.path)/control", 0), "connect"))
            let bytes = ShimRequest.hello(lowest: 1, highest: 1).frame + frame.bytes + noise
            _ = send(socket.number, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            // Over the limit, and before a greeting: both hang up.
            for wrong in [[255, 255, 255, 255, 1, 0], ShimRequest.retire.frame] as [[UInt8]] {
                let other = FileDescriptor(
                    owning: try check(joblet_unix_connect("\(shim.directory.path)/control", 0), "connect"))
                _ = send(other.number, wrong, wrong.count, Int32(MSG_NOSIGNAL))
                var byte: UInt8 = 0
                #expect(recv(other.number, &byte, 1, 0) == 0)
            }
        }
        try shim.connect()
        // A grace period without end is one, not an overflow.
        shim.send(.stop(job, grace: .max))
        #expect(try shim.exit(of: job).signal == SIGKILL)
    }

    @Test("a job has its three descriptors and no other", arguments: [false, true])
    func descriptors(_ usesInit: Bool) throws {
        let shim = try ShimProcess()
        let others = try (0..<3).map { _ in try shim.start(["sleep", "1000"]) }
        for other in others { _ = try shim.started(other) }
        // The directory that the shell reads for the pattern is closed again when the loop begins.
        let list = "for f in /proc/self/fd/*; do if [ -e $f ]; then echo ${f##*/}; fi; done"
        let result = try shim.run(["sh", "-c", list]) { $0.usesInit = usesInit }
        #expect(String(decoding: result.stdout, as: UTF8.self) == "0\n1\n2\n")
        #expect(result.stderr == [])
    }

    @Test("a job begins with every signal unblocked and none ignored") func signals() throws {
        let shim = try ShimProcess()
        let result = try shim.run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])
        let none = String(repeating: "0", count: 16)
        #expect(String(decoding: result.stdout, as: UTF8.self) == "SigBlk:\t\(none)\nSigIgn:\t\(none)\n")
    }

    @Test("no part of a plan stays in the shim's memory") func secrets() throws {
        let shim = try ShimProcess()
        let secret = "hunter2-" + hex((0..<16).map { _ in UInt8.random(in: 0...255) })
        let job = try shim.start(["sh", "-c", "echo ${#SECRET}; exec sleep 1000"]) {
            $0.environment.append("SECRET=\(secret)")
        }
        _ = try shim.started(job)
        let length = Array("\(secret.utf8.count)\n".utf8)
        let hasRun = try eventually { try shim.contents(of: job).bytes[.stdout] == length }
        #expect(hasRun)
        // Repeated, refused and half-sent ones too.
        let failed = try shim.start(["true"]) {
            $0.environment.append("SECRET=\(secret)")
            $0.workDirectory = "/missing"
        }
        _ = try shim.next { if case .startFailed(failed, _, _) = $0 { true } else { nil } }
        var plan = SandboxPlan.forTests(rootMount: "\(shim.directory.path)/root", arguments: ["true"])
        plan.environment = ["SECRET=\(secret)"]
        let request = ShimRequest.start(
            StartRequest(
                token: 1, job: job,
                cgroup: CgroupPlan(isUnified: false, directories: [], settings: [], outOfMemoryEvents: ""),
                output: shim.limits(), plan: plan))
        shim.send(request)
        _ = try shim.started(job)
        let half = FileDescriptor(
            owning: try check(joblet_unix_connect("\(shim.directory.path)/control", 0), "connect"))
        let bytes = ShimRequest.hello(lowest: 1, highest: 1).frame + request.frame.dropLast(40)
        #expect(send(half.number, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        shutdown(half.number, Int32(SHUT_WR))
        var answer = [UInt8](repeating: 0, count: 4096)
        while recv(half.number, &answer, answer.count, 0) > 0 {}
        #expect(try ShimFaultTests.occurrences(of: secret, in: shim.pid) == [])
        // The same look finds it where it is: in the job's own environment.
        var sleeper: pid_t?
        let isThere = try eventually {
            let children = try readText("/proc/\(shim.pid)/task/\(shim.pid)/children").split(separator: " ")
            sleeper = children.compactMap { pid_t($0) }.first { (try? readText("/proc/\($0)/comm")) == "sleep\n" }
            return sleeper != nil
        }
        #expect(isThere)
        let pid = try #require(sleeper)
        #expect(try ShimFaultTests.occurrences(of: secret, in: pid) != [])
    }

    /// The writable mappings of a process that hold `text`.
    private static func occurrences(of text: String, in pid: pid_t) throws -> [String] {
        let memory = try FileDescriptor.open("/proc/\(pid)/mem", flags: O_RDONLY)
        let needle = Array(text.utf8)
        var found: [String] = []
        for line in try readText("/proc/\(pid)/maps").split(separator: "\n") {
            let fields = line.split(separator: " ")
            let ends = fields[0].split(separator: "-").compactMap { Int($0, radix: 16) }
            guard fields[1].hasPrefix("rw"), ends.count == 2 else { continue }
            let bytes = try memory.read(at: ends[0], count: ends[1] - ends[0])
            if contains(bytes, needle) { found.append(String(line)) }
        }
        return found
    }

    private static func contains(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return false }
            var offset = 0
            while offset + needle.count <= buffer.count {
                guard let hit = memchr(base + offset, Int32(needle[0]), buffer.count - offset - needle.count + 1)
                else { return false }
                if memcmp(hit, needle, needle.count) == 0 { return true }
                offset = base.distance(to: hit) + 1
            }
            return false
        }
    }
}
