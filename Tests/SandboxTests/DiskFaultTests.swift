import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport
import Testing

@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct DiskFaultTests {
    @Test("while the outbox's file system is frozen jobs start, stop and exit; then every byte is there")
    func frozen() throws {
        let disk = try ScratchDisk(.ext4, megabytes: 64)
        let shim = try ShimProcess(outbox: disk.path + "/outbox")
        let noise = try Noise(seed: 4, stdout: 4_000_000, stderr: 600_000)
        guard mkfifo(noise.directory.path + "/go", 0o644) == 0 else { throw SystemCallError.current("mkfifo") }
        let before = try shim.start(
            ["sh", "-c", "cat /data/err; read go < /data/go; cat /data/out; cat /data/err >&2"], configure: noise.bind)
        _ = try shim.started(before)
        let hasBegun = try eventually { try shim.contents(of: before).bytes[.stdout]?.count == 600_000 }
        #expect(hasBegun)
        try disk.freeze()
        // Its next 4 MB do not fit into its pipe.
        let go = try FileDescriptor.open(noise.directory.path + "/go", flags: O_WRONLY)
        #expect(write(go.number, "\n", 1) == 1)
        var during: [ShimJob] = []
        for code in 1...5 as ClosedRange<Int32> {
            let job = try shim.start(["sh", "-c", "cat /data/err >&2; exit \(code)"], configure: noise.bind)
            #expect(try shim.exit(of: job).exitCode == code)
            during.append(job)
        }
        let sleeper = try shim.start(["sleep", "1000"])
        _ = try shim.started(sleeper)
        shim.send(.stop(sleeper, grace: 5_000_000_000))
        #expect(try shim.exit(of: sleeper).signal == SIGKILL)
        try disk.thaw()
        #expect(try shim.exit(of: before).exitCode == 0)
        #expect(try shim.drained(before) == 5_200_000)
        let contents = try shim.contents(of: before)
        #expect(contents.bytes[.stdout] == noise.stderr + noise.stdout)
        #expect(contents.bytes[.stderr] == noise.stderr)
        for job in during {
            #expect(try shim.drained(job) == 600_000)
            #expect(try shim.contents(of: job).bytes[.stderr] == noise.stderr)
        }
        #expect(try shim.drained(sleeper) == 0)
    }

    @Test(
        "on a full disk jobs wait, and go on when room appears, without a byte lost",
        arguments: ScratchDisk.Kind.allCases)
    func full(_ kind: ScratchDisk.Kind) throws {
        let disk = try ScratchDisk(kind, megabytes: 16)
        let filler = disk.path + "/filler"
        do {
            let file = try FileDescriptor.open(filler, flags: O_WRONLY | O_CREAT)
            let rest = try disk.free() - 2_000_000
            guard posix_fallocate(file.number, 0, rest) == 0 else { throw SystemCallError.current("fallocate") }
        }
        let shim = try ShimProcess(outbox: disk.path + "/outbox")
        let noise = try Noise(seed: 5, stdout: 3_500_000, stderr: 3_000_000)
        let job = try shim.start(Noise.command, limits: shim.limits(segmentBytes: 400_000), configure: noise.bind)
        let isFull = try eventually { try disk.free() < 16_384 }
        #expect(isFull)
        // A job starts and ends all the same.
        let other = try shim.start(["sh", "-c", "echo x; exit 6"])
        #expect(try shim.exit(of: other).exitCode == 6)
        #expect(try shim.contents(of: job).isAtEnd == false)
        #expect(unlink(filler) == 0)
        #expect(try shim.exit(of: job).exitCode == 0)
        #expect(try shim.drained(job) == 6_500_000)
        let contents = try shim.contents(of: job)
        #expect(contents.bytes[.stdout] == noise.stdout)
        #expect(contents.bytes[.stderr] == noise.stderr)
        #expect(try shim.drained(other) == 2)
    }

    @Test("output leaves the disk its reserve, and goes on when there is more room") func reserve() throws {
        let disk = try ScratchDisk(.tmpfs, megabytes: 16)
        let file = try FileDescriptor.open(disk.path + "/filler", flags: O_WRONLY | O_CREAT)
        guard posix_fallocate(file.number, 0, 10_000_000) == 0 else { throw SystemCallError.current("fallocate") }
        let shim = try ShimProcess(outbox: disk.path + "/outbox")
        shim.send(.configure(OutboxBudget(root: shim.outbox, nodeBytes: 1 << 30, reserveBytes: 64 << 20)))
        let noise = try Noise(seed: 8, stdout: 5_000_000, stderr: 3_000_000)
        let job = try shim.start(Noise.command, configure: noise.bind)
        // An eighth of this disk.
        let reserve = 2 << 20
        let isReached = try eventually { try disk.free() < reserve }
        #expect(isReached)
        // Time for the pump to take all of it, if it did.
        for _ in 0..<3 { #expect(try shim.exit(of: try shim.start(["true"])).exitCode == 0) }
        #expect(try disk.free() >= reserve - (512 << 10))
        #expect(try shim.contents(of: job).isAtEnd == false)
        try file.truncate(to: 0)
        #expect(try shim.exit(of: job).exitCode == 0)
        #expect(try shim.drained(job) == 8_000_000)
        let contents = try shim.contents(of: job)
        #expect(contents.bytes[.stdout] == noise.stdout)
        #expect(contents.bytes[.stderr] == noise.stderr)
    }

    @Test("a log larger than its disk passes through, as a store takes it") func passing() throws {
        let disk = try ScratchDisk(.tmpfs, megabytes: 4)
        let shim = try ShimProcess(outbox: disk.path + "/outbox")
        let noise = try Noise(seed: 6, stdout: 20_000_000, stderr: 5_000_000)
        let job = try shim.start(Noise.command, limits: shim.limits(segmentBytes: 500_000), configure: noise.bind)
        _ = try shim.started(job)
        let outboxJob = OutboxJob(high: job.high, low: job.low)
        let files = SegmentFiles(root: shim.outbox, job: outboxJob)
        let hasBegun = try eventually { try !files.numbers().isEmpty }
        #expect(hasBegun)
        let reader = try #require(try OutboxReader(root: shim.outbox, job: outboxJob))
        var contents = OutboxContents()
        let ended = try eventually(within: 60) {
            try contents.follow(reader)
            for number in try files.numbers() where number < reader.segment {
                try files.remove(number)
                shim.send(.released(job))
            }
            return contents.isAtEnd
        }
        #expect(ended)
        #expect(contents.bytes[.stdout] == noise.stdout)
        #expect(contents.bytes[.stderr] == noise.stderr)
    }
}
