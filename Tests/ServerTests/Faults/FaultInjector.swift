import DaemonSupport
import Glibc
import Synchronization
import TestSupport

/// Kills a daemon and what belongs to it, and cuts what it stores in, at random until the time is over.
final class FaultInjector: Sendable {
    private enum Fault: String {
        case daemon = "daemon killed"
        case persist = "persist killed"
        case state = "state killed"
        case end = "worker ended"
        case pump = "pump killed"
        case connection = "connection to persist cut"
        case stateConnection = "connection to state cut"
        case stall = "persist stalled"
    }

    /// Each fault as often as it stands here.
    private static let faults: [Fault] = [
        .daemon, .daemon, .persist, .persist, .state, .state, .end, .pump, .pump, .connection, .connection, .connection,
        .stateConnection, .stall,
    ]

    private let daemon: DaemonProcess
    private let storage: any FaultyStorage
    private let seed: UInt64
    private let end: ContinuousClock.Instant
    private let counts = Mutex<[String: Int]>([:])

    init(_ daemon: DaemonProcess, _ storage: any FaultyStorage, seed: UInt64, until end: ContinuousClock.Instant) {
        self.daemon = daemon
        self.storage = storage
        self.seed = seed
        self.end = end
    }

    /// How often each fault was made.
    var summary: String {
        counts.withLock { $0.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") }
    }

    /// Returns when the time is over, the daemon runs and the backend works.
    func run() async throws {
        async let backend: Void = cutBackend()
        try await killProcesses()
        try await backend
    }

    private func killProcesses() async throws {
        var generator = SeededGenerator(seed: seed)
        while ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(Int.random(in: 50...900, using: &generator)))
            let fault = Self.faults.randomElement(using: &generator) ?? .daemon
            if try await make(fault, &generator) { counts.withLock { $0[fault.rawValue, default: 0] += 1 } }
        }
    }

    /// False where there was nothing to kill or to cut.
    private func make(_ fault: Fault, _ generator: inout SeededGenerator) async throws -> Bool {
        switch fault {
        case .daemon:
            await daemon.stop(SIGKILL)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...500, using: &generator)))
            try await daemon.start()
            return true
        case .end: return kill(daemon.workers(Bool.random(using: &generator) ? "persist" : "state"), SIGTERM)
        case .persist: return kill(daemon.workers("persist"))
        case .state: return kill(daemon.workers("state"))
        case .pump: return kill(daemon.remains.pumps)
        case .connection: return cutConnection("persist", &generator)
        case .stateConnection: return cutConnection("state", &generator)
        case .stall:
            let pause = Int.random(in: 100...2000, using: &generator)
            guard let pid = daemon.workers("persist").first, Glibc.kill(pid, SIGSTOP) == 0 else { return false }
            try await Task.sleep(for: .milliseconds(pause))
            return Glibc.kill(pid, SIGCONT) == 0
        }
    }

    private func kill(_ pids: [Int32], _ signal: Int32 = SIGKILL) -> Bool {
        for pid in pids { _ = Glibc.kill(pid, signal) }
        return !pids.isEmpty
    }

    private func cutConnection(_ worker: String, _ generator: inout SeededGenerator) -> Bool {
        guard let pid = daemon.workers(worker).first else { return false }
        let path = "\(daemon.runDirectory)/\(worker)-ipc.sock"
        guard let connection = UnixConnection.all(of: pid, at: path).randomElement(using: &generator) else {
            return false
        }
        return connection.cut()
    }

    private func cutBackend() async throws {
        var generator = SeededGenerator(seed: ~seed)
        while ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(Int.random(in: 500...4000, using: &generator)))
            let outage = try storage.beginOutage(&generator)
            counts.withLock { $0["backend: \(outage)", default: 0] += 1 }
            try await Task.sleep(for: .milliseconds(Int.random(in: 200...4000, using: &generator)))
            try storage.endOutage()
        }
    }
}

/// A connection that another process took at a Unix socket.
struct UnixConnection {
    private typealias OpenProcess = @convention(c) (Int32, UInt32) -> Int32
    private typealias GetDescriptor = @convention(c) (Int32, Int32, UInt32) -> Int32

    private let pid: Int32
    private let descriptor: Int32

    /// The connections that the process took at the socket's path and that are open.
    static func all(of pid: Int32, at path: String) -> [UnixConnection] {
        let inodes = kernelText("/proc/net/unix").split(separator: "\n").compactMap { line -> Substring? in
            let fields = line.split(separator: " ")
            // The sixth field is the state: 03 is connected, the listener itself has 01.
            return fields.count == 8 && fields[7] == path && fields[5] == "03" ? fields[6] : nil
        }
        return descriptors(of: pid).filter { open in inodes.contains { open.target == "socket:[\($0)]" } }
            .map { UnixConnection(pid: pid, descriptor: $0.number) }
    }

    /// Shuts it down for both sides; false where it is gone meanwhile.
    func cut() -> Bool {
        // Swift's Glibc module leaves <sys/pidfd.h> out.
        guard let open = dlsym(nil, "pidfd_open"), let get = dlsym(nil, "pidfd_getfd") else { return false }
        let process = unsafeBitCast(open, to: OpenProcess.self)(pid, 0)
        guard process >= 0 else { return false }
        defer { close(process) }
        let copy = unsafeBitCast(get, to: GetDescriptor.self)(process, descriptor, 0)
        guard copy >= 0 else { return false }
        defer { close(copy) }
        return shutdown(copy, Int32(SHUT_RDWR)) == 0
    }
}
