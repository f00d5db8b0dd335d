import BenchmarkSupport
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import JobletAPI
import JobletSecurity

/// A daemon with a fresh data directory, and a connection to it.
struct Node: Sendable {
    typealias Transport = HTTP2ClientTransport.Posix

    /// Where the node's stores are.
    enum Mode: String {
        case embedded, workers
    }

    let surroundings: Surroundings
    let directory: String
    let port: Int
    let jobs: Joblet_JobService.Client<Transport>
    let history: Joblet_Persist_PersistService.Client<Transport>
    let daemon: ProcessFiles

    var outbox: String { directory + "/outbox" }
    var work: String { surroundings.work }
    var floor: Floor { surroundings.floor }
    /// What `rnx` needs to find this node.
    var environment: [String: String] { ["RNX_CONFIG": directory + "/certs/rnx-config.yml", "NO_COLOR": "1"] }
    var rnx: String { surroundings.programs + "/rnx" }

    /// Runs `body` with a node, whose processes and files are gone afterwards.
    ///
    /// `prepare` may fill the data directory before the daemon starts.
    static func run<Result: Sendable>(
        in surroundings: Surroundings, mode: Mode = .embedded,
        prepare: (_ directory: String) async throws -> Void = { _ in },
        _ body: @Sendable (Node) async throws -> Result
    ) async throws -> Result {
        let directory = surroundings.work + "/node"
        let port = try freePort()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let configuration = directory + "/joblet-config.yml"
        try text(directory, port, mode, surroundings.durability).write(
            toFile: configuration, atomically: true, encoding: .utf8)
        _ = try Command.output(
            surroundings.programs + "/joblet",
            ["certs", "init", "--config", configuration, "--address", "127.0.0.1:\(port)"])
        try await prepare(directory)
        let daemon = try await DaemonProcess(surroundings.programs + "/joblet", configuration: configuration)
        defer { daemon.end(shimsOf: directory) }
        return try await connect(surroundings, directory, port, ProcessFiles(pid: daemon.pid), body)
    }

    private static func connect<Result: Sendable>(
        _ surroundings: Surroundings, _ directory: String, _ port: Int, _ daemon: ProcessFiles,
        _ body: @Sendable (Node) async throws -> Result
    ) async throws -> Result {
        let identity = try CertificateDirectory(path: directory + "/certs").clientIdentity(.admin)
        let tls = try ClientTLS(identity, host: "127.0.0.1")
        var configuration = Transport.Config.defaults
        // As rnx has them.
        configuration.http2.targetWindowSize = 1 << 20
        configuration.http2.maxFrameSize = 1 << 16
        tls.configure(&configuration)
        let transport = try Transport(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: tls.transportSecurity,
            config: configuration)
        return try await withGRPCClient(transport: transport) { client in
            try await body(
                Node(
                    surroundings: surroundings, directory: directory, port: port, jobs: .init(wrapping: client),
                    history: .init(wrapping: client), daemon: daemon))
        }
    }

    private static func text(_ directory: String, _ port: Int, _ mode: Mode, _ durability: String) -> String {
        """
        version: "3.0"
        server:
          address: 127.0.0.1
          port: \(port)
        dataDir: \(directory)
        runDir: \(directory)/run
        joblet:
          maxConcurrentJobs: 0
          onShutdown: stop
        storage:
          mode: \(mode.rawValue)
          durability: \(durability)
          query:
            address: ""

        """
    }

    private static func freePort() throws -> Int {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(number, pointer, length) == 0 ? getsockname(number, pointer, &length) : -1
            }
        }
        guard status == 0 else { throw Wrong("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// The supervisors and their pumps.
    func shims() throws -> [ProcessFiles] {
        let shims = try ProcessFiles.find(["joblet-shim", directory])
        return try shims
            + shims.flatMap { try $0.children() }.filter { child in
                try ProcessFiles.find(["joblet-shim", "pump"]).contains { $0.pid == child.pid }
            }
    }

    /// The process of one of the node's workers.
    func worker(_ name: String) throws -> ProcessFiles {
        let found = try ProcessFiles.find(["/\(name)\0", directory])
        guard let worker = found.first, found.count == 1 else { throw Wrong("\(found.count) processes of \(name)") }
        return worker
    }

    /// Runs `body` with a connection to the worker's own PersistService.
    func withWorkerHistory<Result: Sendable>(
        _ body: (Joblet_Persist_PersistService.Client<Transport>) async throws -> Result
    ) async throws -> Result {
        let transport = try Transport(
            target: .unixDomainSocket(path: "\(directory)/run/persist-grpc.sock"), transportSecurity: .plaintext)
        return try await withGRPCClient(transport: transport) { try await body(.init(wrapping: $0)) }
    }

    /// CPU seconds of daemon, shim and pump.
    func processorSeconds() throws -> Double {
        try ([daemon] + shims()).reduce(0) { try $0 + $1.processorSeconds() }
    }
}

/// The daemon's process.
final class DaemonProcess {
    private let process = Process()

    /// Starts it and returns once it takes connections.
    init(_ program: String, configuration: String) async throws {
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["--config", configuration]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.standardError
        try process.run()
        let isListening = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
            Thread.detachNewThread { DaemonProcess.read(pipe.fileHandleForReading, continuation) }
        }
        guard isListening else { throw Wrong("\(program) did not start") }
    }

    var pid: Int32 { process.processIdentifier }

    /// Reads its log to the end; warnings and errors after its start are passed on.
    private static func read(_ log: FileHandle, _ continuation: CheckedContinuation<Bool, Never>) {
        var waiting: CheckedContinuation<Bool, Never>? = continuation
        var rest = Data()
        while case let data = log.availableData, !data.isEmpty {
            rest += data
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest = rest[rest.index(after: end)...]
                if line.contains("] listening | address=") {
                    waiting?.resume(returning: true)
                    waiting = nil
                } else if waiting == nil, line.contains("[WARN]") || line.contains("[ERROR]") {
                    FileHandle.standardError.write(Data((line + "\n").utf8))
                }
            }
        }
        waiting?.resume(returning: false)
    }

    /// Ends it, its jobs, and the supervisors that it started.
    func end(shimsOf directory: String) {
        process.terminate()
        process.waitUntilExit()
        for shim in (try? ProcessFiles.find(["joblet-shim", directory])) ?? [] { kill(shim.pid, SIGKILL) }
    }
}
