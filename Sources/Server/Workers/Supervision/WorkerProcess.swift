import CLinux
import Dispatch
import Glibc
import Logging
import Synchronization

/// A storage worker's process: started again whenever it ends, after a pause that grows and is reset once it works.
///
/// Everything happens on one thread of its own: waiting for output and for the process's end blocks.
final class WorkerProcess: Sendable {
    private static let firstPause = 0.1
    private static let longestPause = 30.0

    private struct State {
        var pid: pid_t?
        var pause = WorkerProcess.firstPause
        var isStopping = false
        var hasEnded = false
        /// What it said last, for the time when it ends.
        var lastLine = ""
        /// Why it ended last by itself.
        var failure = ""
        /// How often it has ended by itself since it last worked.
        var failures = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// The program's name.
    let name: String
    private let program: String
    private let arguments: [String]
    private let logger: Logger
    private let state = Mutex(State())
    private let stopping = DispatchSemaphore(value: 0)

    init(program: String, arguments: [String], logger: Logger) {
        self.program = program
        self.arguments = arguments
        self.logger = logger
        name = program.split(separator: "/").last.map(String.init) ?? program
    }

    /// Starts the process and keeps it running.
    func start() {
        let reference = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<WorkerProcess>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, reference.toOpaque())
        precondition(status == 0, "cannot start a thread: \(status)")
        pthread_detach(thread)
    }

    /// The process that runs now.
    var pid: pid_t? { state.withLock { $0.pid } }

    /// What it said last before it ended by itself, or how it ended, if it has done so since it last worked.
    var failure: String? { state.withLock { $0.failures > 0 ? $0.failure : nil } }

    /// The worker has answered: the next failure is a first one again.
    func works() {
        state.withLock { state in
            state.pause = WorkerProcess.firstPause
            state.failures = 0
        }
    }

    /// Ends the process, by force where it does not end within a second, and waits for its end: what it has not
    /// acknowledged is in the outbox.
    func stop() async {
        state.withLock { state in
            state.isStopping = true
            if let pid = state.pid { kill(pid, SIGTERM) }
        }
        stopping.signal()
        let timer = Task {
            // Cancelled where it ends by itself.
            do { try await Task.sleep(for: .seconds(1)) } catch { return }
            state.withLock { state in
                if let pid = state.pid { kill(pid, SIGKILL) }
            }
        }
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waiters.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
        timer.cancel()
    }

    private func run() {
        while !state.withLock({ $0.isStopping }) {
            runOnce()
            let pause: Double? = state.withLock { state in
                guard !state.isStopping else { return nil }
                state.failures += 1
                defer { state.pause = min(2 * state.pause, WorkerProcess.longestPause) }
                return state.pause
            }
            if let pause { _ = stopping.wait(timeout: .now() + pause) }
        }
        let waiters = state.withLock { state in
            state.hasEnded = true
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func runOnce() {
        let output: Int32
        do {
            output = try spawn()
        } catch {
            state.withLock { $0.failure = "\(error)" }
            logger.error("a storage worker cannot be started", metadata: ["worker": "\(name)", "error": "\(error)"])
            return
        }
        readLines(output)
        close(output)
        guard let pid = state.withLock({ $0.pid }) else { return }
        // Waited for without taking it away: until then its id cannot be another's.
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        var status: Int32 = 0
        let isStopping = state.withLock { state in
            waitpid(pid, &status, 0)
            state.pid = nil
            return state.isStopping
        }
        guard !isStopping else { return }
        let end = status & 0x7f == 0 ? "exit code \(status >> 8 & 0xff)" : "signal \(status & 0x7f)"
        state.withLock { $0.failure = $0.lastLine.isEmpty ? "it ended with \(end)" : $0.lastLine }
        logger.error("a storage worker has ended", metadata: ["worker": "\(name)", "pid": "\(pid)", "end": "\(end)"])
    }

    /// Starts the program; returns the end of a pipe at which its output comes out.
    private func spawn() throws -> Int32 {
        var ends: [Int32] = [-1, -1]
        // A pair of sockets, because those are closed in other children from the moment they exist.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw MalformedMessage("socketpair: \(String(cString: strerror(errno)))")
        }
        defer { close(ends[1]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        // The listener and the clients' connections are not close-on-exec in the transport.
        joblet_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var argumentList = ([program] + arguments + ["--parent", "\(getpid())"]).map { strdup($0) } + [nil]
        defer { for pointer in argumentList { free(pointer) } }
        let status = state.withLock { state in
            var pid: pid_t = 0
            let status = posix_spawn(&pid, program, &actions, &attributes, &argumentList, environ)
            if status == 0 {
                state.pid = pid
                state.lastLine = ""
                // Asked to stop since the last look.
                if state.isStopping { kill(pid, SIGTERM) }
            }
            return status
        }
        guard status == 0 else {
            close(ends[0])
            throw MalformedMessage("\(program): \(String(cString: strerror(status)))")
        }
        return ends[0]
    }

    /// Hands the output to the daemon's log until it ends.
    private func readLines(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var line: [UInt8] = []
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            for byte in buffer[..<count] {
                if byte != UInt8(ascii: "\n") { line.append(byte) }
                if byte == UInt8(ascii: "\n") || line.count >= 16 << 10 {
                    write(line)
                    line = []
                }
            }
        }
        if !line.isEmpty { write(line) }
    }

    /// A line of the worker's own log goes into the daemon's as it is; anything else is an accident.
    private func write(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        state.withLock { $0.lastLine = text }
        if text.hasPrefix("[") || text.hasPrefix("{\"time\"") {
            let line = bytes + [UInt8(ascii: "\n")]
            _ = Glibc.write(1, line, line.count)
        } else {
            logger.error("[\(name.uppercased())] \(text)")
        }
    }
}
