import ArgumentParser
import Backends
import Foundation
import Glibc
import Logging
import Server
import Storage

/// `joblet` or `joblet serve`: the daemon.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves until SIGTERM or SIGINT; running jobs go on without it.")

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let loaded = try options.load()
        let configuration = loaded.configuration
        LoggingSystem.bootstrap { _ in
            LogLineHandler(level: configuration.logging.level, format: configuration.logging.format)
        }
        // A peer that hangs up is an error of that call, not the end of the daemon.
        signal(SIGPIPE, SIG_IGN)
        let logger = Logger(label: "joblet")
        for warning in loaded.warnings { logger.warning("configuration", metadata: ["problem": "\(warning)"]) }
        let daemon = try await Daemon(
            configuration: configuration, shimProgram: ServeCommand.shimProgram(), jobs: try jobStore(configuration),
            logs: try logStore(configuration), metrics: try metricStore(configuration), logger: logger)
        try await daemon.run()
    }

    /// The supervisor is installed beside the daemon.
    private static func shimProgram() -> String {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("joblet-shim").path
    }

    private func jobStore(_ configuration: Server.Configuration) throws -> any JobStore {
        switch configuration.storage.state.backend {
        case .sqlite:
            try SQLiteJobStore(path: configuration.stateDatabase, durability: configuration.storage.durability)
        case .memory: MemoryJobStore()
        }
    }

    private func logStore(_ configuration: Server.Configuration) throws -> any LogStore {
        switch configuration.storage.logs.backend {
        case .localGzip:
            try LocalGzipLogStore(
                directory: configuration.logDirectory, durability: configuration.storage.durability)
        case .memory: MemoryLogStore()
        }
    }

    private func metricStore(_ configuration: Server.Configuration) throws -> any MetricStore {
        let durability = configuration.storage.durability
        return switch configuration.storage.metrics.backend {
        case .localGzip: try LocalGzipMetricStore(directory: configuration.metricDirectory, durability: durability)
        case .sqlite:
            try SQLiteMetricStore(path: configuration.metricDirectory + "/metrics.db", durability: durability)
        case .memory: MemoryMetricStore()
        }
    }
}

extension ConfigurationOptions {
    /// The configuration in force; a file that cannot be used ends the program with its problems, a line each.
    func load() throws -> Server.Configuration.Loaded {
        do throws(Server.Configuration.LoadError) {
            return try Server.Configuration.load(path: config, environment: ProcessInfo.processInfo.environment)
                .applying(.init(dataDirectory: dataDir, listen: listen))
        } catch {
            for problem in error.problems { StandardError.write("\(problem)") }
            throw ExitCode(1)
        }
    }
}

/// Lines to standard error.
enum StandardError {
    static func write(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
