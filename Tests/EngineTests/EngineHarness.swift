import Backends
import Foundation
import Kernel
import Logging
import Storage
import TestSupport

@testable import Engine

/// A real engine on real stores in a directory of its own; shims and jobs are real too.
final class EngineHarness: Sendable {
    let directory: TemporaryDirectory
    let runDirectory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        runDirectory = try TemporaryDirectory(in: "/run")
    }

    deinit {
        endShims()
        removeCgroups()
    }

    var configuration: EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.dataDirectory = directory.path
        configuration.runDirectory = runDirectory.path
        configuration.outboxDirectory = directory.path + "/outbox"
        configuration.shimProgram = Products.path("joblet-shim")
        configuration.maxConcurrentJobs = 0
        // A plain directory, in which a test and its jobs meet.
        configuration.workDiskBytes = 0
        if Host.hasUnifiedCgroups {
            configuration.cgroupBase = "/sys/fs/cgroup/" + (directory.path as NSString).lastPathComponent
        }
        return configuration
    }

    /// An engine on the harness's directories that is not started.
    func makeEngine(
        jobs: (any JobStore)? = nil, logs: (any LogStore)? = nil, metrics: (any MetricStore)? = nil,
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> JobEngine {
        var configuration = configuration
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try JobEngine(
            configuration: configuration, jobs: try jobs ?? SQLiteJobStore(path: directory.path + "/state/jobs.db"),
            logs: try logs ?? LocalGzipLogStore(directory: directory.path + "/logs"),
            metrics: try metrics ?? LocalGzipMetricStore(directory: directory.path + "/metrics"), logger: logger)
    }

    /// Starts an engine on the harness's directories.
    func engine(
        jobs: (any JobStore)? = nil, logs: (any LogStore)? = nil, metrics: (any MetricStore)? = nil,
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> JobEngine {
        let engine = try makeEngine(jobs: jobs, logs: logs, metrics: metrics, configure: configure)
        do {
            try await engine.start()
        } catch {
            await engine.shutdown(stoppingJobs: false)
            throw error
        }
        return engine
    }

    /// Runs `body` with an engine and shuts it down, jobs included.
    func withEngine(
        jobs: (any JobStore)? = nil, logs: (any LogStore)? = nil, metrics: (any MetricStore)? = nil,
        configure: (inout EngineConfiguration) -> Void = { _ in }, _ body: (JobEngine) async throws -> Void
    ) async throws {
        let engine = try await engine(jobs: jobs, logs: logs, metrics: metrics, configure: configure)
        do {
            try await body(engine)
        } catch {
            await engine.shutdown(stoppingJobs: true)
            throw error
        }
        await engine.shutdown(stoppingJobs: true)
    }

    /// The processes of this harness's shims, oldest first.
    var shims: [pid_t] {
        Processes.all.sorted().filter { pid in
            let words = Array(Processes.arguments(of: pid))
            return words.count == 3 && words[1] == "serve" && words[2].hasPrefix(runDirectory.path)
        }
    }

    /// The pumps of the shim with that process id.
    func pumps(of shim: pid_t) -> [pid_t] {
        Processes.all.filter { pid in
            guard Processes.arguments(of: pid).dropFirst() == ["pump"], let text = try? readText("/proc/\(pid)/stat")
            else { return false }
            return text.split(separator: ") ").last?.split(separator: " ").dropFirst().first == "\(shim)"
        }
    }

    /// Where the job's kept work lies on the host.
    func work(of job: JobID) -> String { "\(directory.path)/work/\(job)" }

    /// The names of the jobs' outboxes.
    var outboxes: [String] { (try? Kernel.Directory.names(in: directory.path + "/outbox")) ?? [] }

    private func endShims() {
        for pid in shims { kill(pid, SIGKILL) }
    }

    private func removeCgroups() {
        guard let incarnation = try? readText(directory.path + "/incarnation"),
            let driver = try? JobEngine.cgroupDriver(configuration, name: String(incarnation.prefix(8)))
        else { return }
        for job in driver.existing() { _ = eventually { driver.destroy(job) } }
        for controller in ["pids", "memory", "cpu", "cpuacct", "blkio"] {
            guard let host = try? CgroupHost.current(), let mount = host.mounts[controller] else { continue }
            rmdir("\(mount)\(host.own[controller] ?? "")/joblet-\(incarnation.prefix(8))")
        }
        guard !configuration.cgroupBase.isEmpty else { return }
        for name in ["/jobs", "/daemon", "/shim-1", "/shim-2", "/shim-3", ""] { rmdir(configuration.cgroupBase + name) }
    }
}

extension JobEngine {
    /// Everything a job's log holds for `request`, as text.
    func text(
        of job: JobID, streams: Set<LogStream> = Set(LogStream.allCases), follows: Bool = true
    ) async throws -> String {
        String(decoding: try await bytes(of: job, streams: streams, follows: follows), as: UTF8.self)
    }

    /// Everything a job's log holds for `request`.
    func bytes(
        of job: JobID, streams: Set<LogStream> = Set(LogStream.allCases), follows: Bool = true
    ) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        try await logs.read(.init(query: LogQuery(job: job, streams: streams), follows: follows)) { bytes += $0.bytes }
        return bytes
    }
}

extension JobEngine {
    /// Whether memory holds no job: all that was recorded and written is in the stores.
    var isIdle: Bool { hot.isEmpty && deleted.isEmpty && unfinished.isEmpty }

    /// The position up to which the job's outbox is written.
    func outboxEnd(of job: JobID) async -> UInt64 {
        let cursor = OutboxCursor(root: configuration.outboxDirectory, job: job)
        var place = LogCursor.start
        while true {
            do {
                switch try await cursor.read(from: place, maxBytes: 1 << 20) {
                case .run(_, let next): place = next
                case .begins(let base): place = LogCursor(position: base)
                case .waiting, .ended, .absent: return place.position
                }
            } catch {
                return 0
            }
        }
    }
}

extension JobRequest {
    /// A request to run `command` with `arguments`.
    init(_ command: String, _ arguments: String...) {
        self.init()
        self.command = command
        self.arguments = arguments
    }

    /// A shell script in a kept work directory, through which the test and the job can meet.
    static func script(_ text: String) -> JobRequest {
        var request = JobRequest("sh", "-c", text)
        request.keepsWork = true
        return request
    }
}

/// Looks at `condition` every few milliseconds until it holds; whether it did within `limit`.
///
/// For what is told by no event; leaves the thread to others.
func soon(within limit: Duration = .seconds(90), _ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try await condition() { return true }
        do { try await Task.sleep(for: .milliseconds(2)) } catch { break }
    }
    return try await condition()
}

/// Writes a file on the host.
func writeFile(_ path: String, _ text: String = "") throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
}

/// Whether a process is there and no zombie, which an orphan stays where nobody collects it.
func isAlive(_ pid: pid_t) -> Bool {
    guard let text = try? readText("/proc/\(pid)/stat") else { return false }
    return text.split(separator: ") ").last?.first != "Z"
}

extension JobEngine {
    /// Submits a job and waits until its process runs, or could not be started.
    func run(
        _ request: JobRequest, id: JobID = .random(), uploads: UploadStaging? = nil
    ) async throws(EngineError) -> JobRecord {
        let record = try await submit(request, id: id, uploads: uploads)
        guard let job = hot[record.id]?.job else { return try await self.record(of: record.id) }
        let last = await job.wait { $0.status != .initializing }
        guard last.status != .initializing else {
            throw EngineError(.unavailable, "the start of job \(id) could not be awaited")
        }
        return last
    }
}
