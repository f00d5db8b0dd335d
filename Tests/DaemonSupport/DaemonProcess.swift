import Foundation
import Glibc
public import JobletSecurity
import Synchronization
public import TestSupport
import Testing

/// The daemon's own program on a free loopback port, with a data directory and certificates of its own.
///
/// `end` must be called: it takes the jobs, the daemon and its supervisor with it.
public final class DaemonProcess: Sendable {
    private struct State {
        var process: ChildProcess?
        var port = 0
        var earlierOutput = ""
    }

    /// The directory that holds all of the daemon's files.
    public let directory: TemporaryDirectory
    private let settings: Mutex<[String: String]>
    private let environment = Mutex<[String: String]>([:])
    private let unifiedBase: String?
    private let state = Mutex(State())

    /// Makes directories and certificates, and starts the daemon.
    ///
    /// `settings` are configuration keys, such as `grpc.maxConnections`, with their values as YAML.
    public static func start(_ settings: [String: String] = [:]) async throws -> DaemonProcess {
        let daemon = try DaemonProcess(settings)
        do {
            try await daemon.start()
        } catch {
            await daemon.end()
            throw error
        }
        return daemon
    }

    /// Starts a daemon, runs `body` with it, and ends it with everything that it started.
    public static func run<Value: Sendable>(
        _ settings: [String: String] = [:], _ body: (DaemonProcess) async throws -> Value
    ) async throws -> Value {
        let daemon = try await start(settings)
        do {
            let value = try await body(daemon)
            await daemon.end()
            return value
        } catch {
            await daemon.end()
            throw error
        }
    }

    /// Makes directories and certificates; nothing runs yet.
    public init(_ settings: [String: String] = [:]) throws {
        directory = try TemporaryDirectory(name: "joblet-daemon")
        let name = URL(filePath: directory.path).lastPathComponent
        unifiedBase = try TestGroups.makeUnifiedBase(name: name)
        var all = ["version": "\"3.0\"", "dataDir": "\(directory.path)/data", "runDir": "\(directory.path)/run"]
        // Work directories that are no mounts go with the rest.
        all["work.diskMax"] = "0"
        if let unifiedBase { all["cgroup.baseDir"] = unifiedBase }
        self.settings = Mutex(all.merging(settings) { $1 })
        try certificates.initialize(names: SubjectNames())
    }

    /// The data directory.
    public var dataDirectory: String { "\(directory.path)/data" }
    /// The directory of sockets and supervisors.
    public var runDirectory: String { "\(directory.path)/run" }
    /// The names in a directory of the data directory; none where it is missing.
    public func entries(_ path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "\(dataDirectory)/\(path)")) ?? []
    }

    /// The configuration file, written at each start.
    public var configurationPath: String { "\(directory.path)/joblet-config.yml" }
    /// The certificates of the server, its authority, an admin and a viewer.
    public var certificates: CertificateDirectory { CertificateDirectory(path: "\(dataDirectory)/certs") }
    /// The port on 127.0.0.1, another one after each start.
    public var port: Int { state.withLock { $0.port } }
    /// The running or last process.
    public var process: ChildProcess? { state.withLock { $0.process } }
    /// Everything that every process of this daemon printed.
    public var output: String { state.withLock { $0.earlierOutput + ($0.process?.output ?? "") } }

    /// Sets a configuration key for the next start.
    public func set(_ key: String, _ value: String) {
        settings.withLock { $0[key] = value }
    }

    /// Sets a variable of the program's environment for the next start.
    public func setEnvironment(_ name: String, _ value: String) {
        environment.withLock { $0[name] = value }
    }

    /// Writes the configuration file.
    public func writeConfiguration() throws {
        try DaemonProcess.yaml(settings.withLock { $0 })
            .write(toFile: configurationPath, atomically: true, encoding: .utf8)
    }

    /// Starts the program without waiting for anything; with `failPoint` it fails at that place (`name=action@n`).
    public func launch(failPoint: String? = nil) throws -> ChildProcess {
        try writeConfiguration()
        let process = try ChildProcess(
            Products.path("joblet"), ["--config", configurationPath, "--listen", "127.0.0.1:0"],
            environment: environment.withLock { $0 }.merging(failPoint.map { ["JOBLET_FAILPOINT": $0] } ?? [:]) { $1 })
        state.withLock { state in
            state.earlierOutput += state.process?.output ?? ""
            state.process = process
        }
        return process
    }

    /// Starts the daemon and waits until it takes connections; jobs of an earlier start are still there.
    public func start(failPoint: String? = nil) async throws {
        let process = try launch(failPoint: failPoint)
        let line = try await process.line(containing: "listening | address=")
        guard let port = line.split(whereSeparator: { !$0.isNumber }).last.flatMap({ Int($0) }) else {
            throw ChildProcess.Ended(description: "no port in '\(line)'")
        }
        state.withLock { $0.port = port }
    }

    /// Ends the daemon with a signal and waits; its jobs go on. Returns the exit code or negative signal number.
    @discardableResult
    public func stop(_ signal: Int32) async -> Int32? {
        guard let process else { return nil }
        process.signal(signal)
        return await process.end()
    }

    /// What the daemon has on the host beside its files.
    public var remains: DaemonRemains {
        let file = FileManager.default.contents(atPath: "\(dataDirectory)/incarnation")
        let name = String(decoding: (file ?? Data()).prefix(8), as: UTF8.self)
        let roots = unifiedBase.map { ["\($0)/jobs"] } ?? TestGroups.legacyRoots(name: name)
        return DaemonRemains(directory: directory.path, runDirectory: runDirectory, groupRoots: roots)
    }

    /// Ends the daemon, its supervisor and its jobs, and removes their control groups.
    public func end() async {
        await stop(SIGKILL)
        let isEmpty = remains.removeAll()
        if let unifiedBase { for name in ["shims", "daemon", "."] { rmdir("\(unifiedBase)/\(name)") } }
        if !isEmpty { Issue.record("processes or control groups of a daemon remain") }
    }

    /// Settings with dotted keys as nested YAML.
    private static func yaml(_ settings: [String: String], indent: String = "") -> String {
        let groups = Dictionary(grouping: settings) { String($0.key.prefix { $0 != "." }) }
        return groups.sorted { $0.key < $1.key }.map { name, entries in
            if let value = settings[name] { return "\(indent)\(name): \(value)\n" }
            let inner = entries.map { (String($0.key.dropFirst(name.count + 1)), $0.value) }
            return "\(indent)\(name):\n" + yaml(Dictionary(uniqueKeysWithValues: inner), indent: indent + "  ")
        }.joined()
    }
}
