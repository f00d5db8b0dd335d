import Foundation
import Glibc
import Synchronization

/// A program that runs beside the test: what it prints, line by line, and how it ends.
public final class ChildProcess: Sendable {
    /// Why a wait was in vain.
    public struct Ended: Error, CustomStringConvertible {
        /// What was waited for, and all that the program printed.
        public let description: String
    }

    private struct State {
        var output: [UInt8] = []
        var isOutputComplete = false
        var status: Int32?
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    /// The process; valid until `end` has returned.
    public let pid: Int32
    private let state = Mutex(State())

    /// Starts the program at `path` with nothing of this process's environment but what is given.
    public init(_ path: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        var ends: [Int32] = [-1, -1]
        // A pair of sockets, because those are closed in other children from the moment they exist.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw POSIXError(.EMFILE)
        }
        defer { close(ends[1]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        var variables = ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        variables.merge(environment) { $1 }
        var argumentList = ([path] + arguments).map { strdup($0) } + [nil]
        var environmentList = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argumentList + environmentList { free(pointer) } }
        var pid: pid_t = 0
        let status = posix_spawn(&pid, path, &actions, nil, &argumentList, &environmentList)
        guard status == 0 else {
            close(ends[0])
            throw POSIXError(POSIXErrorCode(rawValue: status) ?? .EINVAL)
        }
        self.pid = pid
        let output = ends[0]
        Thread.detachNewThread { self.readOutput(output) }
        Thread.detachNewThread { self.reap() }
    }

    /// Everything that was printed until now, standard output and error in one.
    public var output: String { String(decoding: state.withLock { $0.output }, as: UTF8.self) }

    /// Sends a signal, unless the process has ended.
    public func signal(_ number: Int32) {
        // The process is reaped under the same lock: its id cannot be another's.
        state.withLock { if $0.status == nil { _ = kill(pid, number) } }
    }

    /// Waits for the end: the exit code, or the negative number of the signal.
    @discardableResult
    public func end() async -> Int32 {
        while true {
            if let status = state.withLock({ $0.isOutputComplete ? $0.status : nil }) { return status }
            await change { $0.isOutputComplete && $0.status != nil }
        }
    }

    /// The exit code or negative signal number if the process has ended.
    public var status: Int32? { state.withLock { $0.status } }

    /// Waits for a line that contains `text` and returns it; throws where the output ends without it.
    public func line(containing text: String) async throws -> String {
        while true {
            let (output, isComplete) = state.withLock { ($0.output, $0.isOutputComplete) }
            let end = output.lastIndex(of: UInt8(ascii: "\n")) ?? 0
            let lines = String(decoding: output[..<end], as: UTF8.self).split(separator: "\n")
            if let line = lines.first(where: { $0.contains(text) }) { return String(line) }
            guard !isComplete else {
                throw Ended(description: "no line with '\(text)' in:\n\(String(decoding: output, as: UTF8.self))")
            }
            await change { $0.output.count > output.count || $0.isOutputComplete }
        }
    }

    /// Returns when `isThere` may hold.
    private func change(_ isThere: (State) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if isThere(state) { return true }
                state.nextWaiter += 1
                state.waiters[state.nextWaiter] = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    private func update(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    private func readOutput(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            update { $0.output += buffer[..<count] }
        }
        close(descriptor)
        update { $0.isOutputComplete = true }
    }

    private func reap() {
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        update { state in
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            state.status = status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f)
        }
    }
}

/// Runs a program to its end; returns its exit code and what it printed.
public func runProgram(
    _ path: String, _ arguments: [String], environment: [String: String] = [:]
) async throws -> (status: Int32, output: String) {
    let process = try ChildProcess(path, arguments, environment: environment)
    let status = await process.end()
    return (status, process.output)
}
