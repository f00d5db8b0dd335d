import Backends
import Engine
import Foundation
import Logging
import Storage
import TestSupport

/// A real engine on real stores in a directory of its own; shims and jobs are real too.
final class EngineHarness: Sendable {
    let directory: TemporaryDirectory
    let runDirectory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        runDirectory = try TemporaryDirectory(in: "/run")
    }

    deinit { endShims() }

    var configuration: EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.dataDirectory = directory.path
        configuration.runDirectory = runDirectory.path
        configuration.outboxDirectory = directory.path + "/outbox"
        configuration.shimProgram = Products.path("joblet-shim")
        configuration.maxConcurrentJobs = 0
        return configuration
    }

    /// Starts an engine on the harness's directories.
    func engine(
        logs: (any LogStore)? = nil, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> JobEngine {
        var configuration = configuration
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let engine = try JobEngine(
            configuration: configuration, jobs: try SQLiteJobStore(path: directory.path + "/state/jobs.db"),
            logs: try logs ?? LocalGzipLogStore(directory: directory.path + "/logs"), logger: logger)
        try await engine.start()
        return engine
    }

    /// Runs `body` with an engine and shuts it down, jobs included.
    func withEngine(
        logs: (any LogStore)? = nil, configure: (inout EngineConfiguration) -> Void = { _ in },
        _ body: (JobEngine) async throws -> Void
    ) async throws {
        let engine = try await engine(logs: logs, configure: configure)
        do {
            try await body(engine)
        } catch {
            await engine.shutdown(stoppingJobs: true)
            throw error
        }
        await engine.shutdown(stoppingJobs: true)
    }

    /// The processes of this harness's shims.
    var shims: [pid_t] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.filter { pid in
            guard let line = try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/cmdline")) else { return false }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.count == 3 && words[1] == "serve" && words[2].hasPrefix(runDirectory.path)
        }
    }

    private func endShims() {
        for pid in shims { kill(pid, SIGKILL) }
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

extension JobRequest {
    /// A request to run `command` with `arguments`.
    init(_ command: String, _ arguments: String...) {
        self.init()
        self.command = command
        self.arguments = arguments
    }
}
