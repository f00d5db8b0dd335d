import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport
import Testing

/// How jobs of different manners end when they are told to.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct StopTests {
    private static let second: Int64 = 1_000_000_000

    /// Stops a job once it is ready; returns its end, its output and the seconds it took.
    private func stop(
        _ program: String, grace: Int64
    ) throws -> (exit: ExitRecord, output: String, seconds: Double) {
        let shim = try ShimProcess()
        let job = try shim.start(["/usr/bin/python3", "-u", "-c", "import os, signal, sys, time\n" + program])
        try shim.wait(for: "ready\n", from: job)
        let begin = SystemClock.sinceBoot()
        shim.send(.stop(job, grace: UInt64(grace)))
        let record = try shim.exit(of: job)
        let seconds = Double(SystemClock.sinceBoot() - begin) / 1e9
        _ = try shim.drained(job)
        return (record, String(decoding: try shim.output(of: job, .stdout), as: UTF8.self), seconds)
    }

    @Test func `a program with a handler gets its grace`() throws {
        let result = try stop(
            """
            def end(*_):
                time.sleep(0.3); print('clean'); sys.exit(7)
            signal.signal(signal.SIGTERM, end); print('ready')
            while True: signal.pause()
            """, grace: 50 * StopTests.second)
        #expect(result.exit.exitCode == 7)
        #expect(result.output == "ready\nclean\n")
    }

    @Test func `a handler that restores the default first gets its grace, too`() throws {
        let result = try stop(
            """
            import ctypes
            libc = ctypes.CDLL(None)
            # Reset by the kernel as the signal is delivered: SA_RESETHAND.
            def end(*_): pass
            signal.signal(signal.SIGTERM, end)
            handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda n: (time.sleep(0.3), print('clean'), os._exit(8)))
            libc.sysv_signal(15, handler); print('ready')
            while True: libc.pause()
            """, grace: 50 * StopTests.second)
        #expect(result.exit.exitCode == 8)
        #expect(result.output == "ready\nclean\n")
    }

    @Test func `a program that waits for the blocked signal gets its grace`() throws {
        let result = try stop(
            """
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('ready')
            signal.sigwait([signal.SIGTERM]); time.sleep(0.3); print('clean'); sys.exit(9)
            """, grace: 50 * StopTests.second)
        #expect(result.exit.exitCode == 9)
        #expect(result.output == "ready\nclean\n")
    }

    @Test(arguments: [
        "print('ready'); signal.pause()", "signal.signal(15, signal.SIG_IGN); print('ready'); signal.pause()",
    ])
    func `a program that would not notice is killed at once`(_ program: String) throws {
        let result = try stop(program, grace: 50 * StopTests.second)
        #expect(result.exit.signal == SIGKILL)
        #expect(result.seconds < 25)
    }

    @Test func `a handler that does nothing is killed after the grace`() throws {
        let result = try stop(
            """
            signal.signal(signal.SIGTERM, lambda *_: print('no')); print('ready')
            while True: signal.pause()
            """, grace: 3 * StopTests.second)
        #expect(result.exit.signal == SIGKILL)
        #expect(result.output == "ready\nno\n")
        #expect(result.seconds >= 3)
    }

    @Test func `a child's handler earns the grace, though only the first process is told`() throws {
        let result = try stop(
            """
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, lambda *_: print('told')); print('ready')
                while True: signal.pause()
            os.wait()
            """, grace: StopTests.second / 2)
        #expect(result.exit.signal == SIGKILL)
        #expect(result.output == "ready\n")
        #expect(result.seconds >= 0.5)
    }

    @Test func `a second stop with less patience shortens the first`() throws {
        let shim = try ShimProcess()
        let job = try shim.start(["bash", "-c", "trap : TERM; echo ready; while :; do sleep 0.05; done"])
        try shim.wait(for: "ready\n", from: job)
        shim.send(.stop(job, grace: 600 * 1_000_000_000))
        shim.send(.stop(job, grace: 0))
        #expect(try shim.exit(of: job).signal == SIGKILL)
    }

    @Test func `everything a job started ends with it`() throws {
        let shim = try ShimProcess()
        // Each is ready once it is a program of its own: bash blocks signals while it makes a child.
        let program = """
            (trap '' TERM HUP; for i in 1 2; do setsid sh -c 'echo up$0; exec sleep 1000' $i & done)
            echo ready; exec sleep 1000
            """
        let job = try shim.start(["bash", "-c", program])
        for text in ["up1\n", "up2\n", "ready\n"] { try shim.wait(for: text, from: job) }
        shim.send(.stop(job, grace: 600 * 1_000_000_000))
        #expect(try shim.exit(of: job).signal == SIGKILL)
        // Drained: nobody holds the output any more.
        _ = try shim.drained(job)
    }
}
