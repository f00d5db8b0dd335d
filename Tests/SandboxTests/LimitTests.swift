import Glibc
import Kernel
import Sandbox
import TestSupport
import Testing

/// What happens at the limits of a job's control groups.
@Suite(.enabled(if: Host.isRoot && TestCgroup.canLimit, "needs root and control groups"), .serialized)
struct LimitTests {
    @Test func `forks beyond the limit fail`() throws {
        let shim = try ShimProcess()
        let attack = Attack(
            """
            import signal
            count = 1
            try:
                while count < 200:
                    if os.fork() == 0: signal.pause()
                    count += 1
            except BlockingIOError: pass
            return str(count)
            """)
        #expect(try attack.outcome(in: shim, cgroup: TestCgroup(processes: 32)) == "32")
        #expect(try attack.outcome(in: shim, cgroup: TestCgroup(processes: 1000)) == "200")
    }

    @Test func `a fork bomb ends when it is killed, and takes nobody with it`() throws {
        let shim = try ShimProcess()
        let program = "echo lit; f() { f | f & }; while :; do f; done"
        let bomb = try shim.start(["bash", "-c", program], cgroup: TestCgroup(processes: 64))
        try shim.wait(for: "lit", from: bomb)
        // Another job starts and ends beside it.
        #expect(try shim.runSecured(["echo", "fine"]).stdout == "fine\n")
        shim.send(.kill(bomb))
        #expect(try shim.exit(of: bomb).signal == SIGKILL)
    }

    @Test func `a job that takes too much memory is killed, and the record says so`() throws {
        let shim = try ShimProcess()
        let program = ["/usr/bin/python3", "-c", "x = b'x' * (200 << 20); print('done')"]
        let limited = try shim.runSecured(program, cgroup: TestCgroup(memory: 64 << 20))
        #expect(limited.exit.signal == SIGKILL)
        #expect(limited.exit.ranOutOfMemory)
        #expect(limited.stdout == "")
        let free = try shim.runSecured(program, cgroup: TestCgroup(memory: 512 << 20))
        #expect(free.stdout == "done\n")
        #expect(!free.exit.ranOutOfMemory)
    }

    @Test func `what a job writes to its memory file systems counts as its memory`() throws {
        let shim = try ShimProcess()
        let program = ["sh", "-c", "head -c 100000000 /dev/zero >/tmp/file; sleep 0; echo done"]
        let result = try shim.runSecured(program, cgroup: TestCgroup(memory: 48 << 20)) { $0.temporaryBytes = 1 << 30 }
        #expect(result.exit.ranOutOfMemory)
    }

    @Test func `a job killed by another signal did not run out of memory`() throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(
            ["sh", "-c", "sh -c 'kill -9 $$'; exit 9"], cgroup: TestCgroup(memory: 64 << 20))
        #expect(result.exit.exitCode == 9)
        #expect(!result.exit.ranOutOfMemory)
    }
}
