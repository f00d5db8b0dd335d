import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport
import Testing

/// The reaping init of `--init`.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct InitTests {
    @Test(arguments: [
        ("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137),
        ("kill -SEGV $$", 139),
    ]) func `a job ends with its program's code, or 128 and the signal`(_ program: String, _ code: Int32) throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["sh", "-c", program]) { $0.usesInit = true }
        #expect(result.exit.exitCode == code)
        #expect(result.exit.signal == 0)
    }

    @Test(arguments: [
        ("no-such-command", 127, "joblet: no-such-command: command not found\n"),
        ("/etc/passwd", 126, "joblet: /etc/passwd: Permission denied\n"),
    ]) func `a program that cannot be executed is reported as without init`(
        _ command: String, _ code: Int32, _ message: String
    ) throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured([command]) { $0.usesInit = true }
        #expect(result.exit.exitCode == code)
        #expect(result.stderr == message)
    }

    private static let orphans = """
        import os, time
        def state(p):
            try: return open(f'/proc/{p}/stat').read().rsplit(')')[1].split()[0]
            except (FileNotFoundError, ProcessLookupError): return ''
        for _ in range(20):
            if os.fork() == 0:
                if os.fork() == 0: os._exit(0)
                os._exit(0)
            os.wait()
        deadline = time.monotonic() + 10
        while True:
            states = [state(p) for p in os.listdir('/proc') if p.isdigit()]
            if states.count('Z') == 0 or time.monotonic() > deadline: break
            time.sleep(0.001)
        print(os.getpid(), 'zombies' if 'Z' in states else 'none')
        """

    @Test func `orphans are reaped`() throws {
        let shim = try ShimProcess()
        let program = ["/usr/bin/python3", "-c", InitTests.orphans]
        #expect(try shim.runSecured(program) { $0.usesInit = true }.stdout == "2 none\n")
    }

    @Test func `without init they stay, as the first process does not expect them`() throws {
        let shim = try ShimProcess()
        let program = InitTests.orphans.replacing("+ 10", with: "+ 1")
        #expect(try shim.runSecured(["/usr/bin/python3", "-c", program]).stdout == "1 zombies\n")
    }

    @Test func `signals are passed on`() throws {
        let shim = try ShimProcess()
        let program = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
        let job = try shim.start(["bash", "-c", program]) { $0.usesInit = true }
        try shim.wait(for: "ready\n", from: job)
        shim.send(.stop(job, grace: 20_000_000_000))
        #expect(try shim.exit(of: job).exitCode == 5)
        _ = try shim.drained(job)
        #expect(String(decoding: try shim.output(of: job, .stdout), as: UTF8.self) == "ready\ncaught\n")
    }

    @Test func `a stop ends a program that does not care for signals at once`() throws {
        let shim = try ShimProcess()
        let job = try shim.start(["sh", "-c", "echo ready; exec sleep 1000"]) { $0.usesInit = true }
        try shim.wait(for: "ready\n", from: job)
        let begin = SystemClock.sinceBoot()
        shim.send(.stop(job, grace: 60_000_000_000))
        #expect(try shim.exit(of: job).exitCode == 143)
        #expect(SystemClock.sinceBoot() - begin < 20_000_000_000)
    }

    @Test func `nothing outlives the program`() throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["sh", "-c", "sleep 1000 & echo left"]) { $0.usesInit = true }
        #expect(result.stdout == "left\n")
        #expect(result.exit.exitCode == 0)
    }

    @Test func `init is the sealed copy, not a file of the host`() throws {
        let shim = try ShimProcess()
        let program = "readlink /proc/1/exe; tr '\\0' ' ' </proc/1/cmdline; ls /proc/1/fd | tr '\\n' ' '"
        let result = try shim.runSecured(["sh", "-c", program]) { $0.usesInit = true }
        #expect(result.stdout.hasPrefix("/memfd:joblet-init (deleted)\njoblet-init sh -c "))
        #expect(result.stdout.hasSuffix("0 1 2 "))
    }
}
