import ArgumentParser
import FoundationEssentials
import Glibc
import LocalStores
import Logging
import Server

/// `joblet` or `joblet serve`: the daemon.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves until SIGTERM or SIGINT; running jobs go on without it.")

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        ServeCommand.occupyStandardStreams()
        let loaded = try options.load()
        let configuration = loaded.configuration
        LoggingSystem.bootstrap { _ in
            LogLineHandler(level: configuration.logging.level, format: configuration.logging.format)
        }
        // A peer that hangs up is an error of that call, not the end of the daemon.
        signal(SIGPIPE, SIG_IGN)
        let logger = Logger(label: "joblet")
        for warning in loaded.warnings { logger.warning("configuration", metadata: ["problem": "\(warning)"]) }
        let stores = LocalStores(configuration)
        let daemon =
            switch configuration.storage.mode {
            case .embedded:
                try await Daemon(
                    configuration: configuration, shimProgram: ServeCommand.program("joblet-shim"),
                    jobs: try ServeCommand.embedded(stores.jobs(), "storage.state.backend"),
                    logs: try ServeCommand.embedded(stores.logs(), "storage.logs.backend"),
                    metrics: try ServeCommand.embedded(stores.metrics(), "storage.metrics.backend"),
                    archives: try stores.archives(), logger: logger)
            case .workers:
                try await withWorkers(loaded, logger)
            }
        try await daemon.run()
    }

    /// Takes descriptors 0 to 2 where the caller closed them: the log must not go into a file that got their number.
    private static func occupyStandardStreams() {
        var descriptor: Int32
        repeat { descriptor = open("/dev/null", O_RDWR) } while (0...STDERR_FILENO).contains(descriptor)
        close(descriptor)
    }

    /// The daemon on the stores of `persist` and `state`, which read the same configuration.
    private func withWorkers(_ loaded: Server.Configuration.Loaded, _ logger: Logger) async throws -> Daemon {
        var arguments: [String] = []
        if let file = loaded.file { arguments += ["--config", URL(fileURLWithPath: file).path] }
        if options.dataDir != nil { arguments += ["--data-dir", loaded.configuration.dataDirectory] }
        let workers = StorageWorkers(
            loaded.configuration, programs: ServeCommand.programs, arguments: arguments, logger: logger)
        return try await Daemon(
            configuration: loaded.configuration, shimProgram: ServeCommand.program("joblet-shim"), jobs: workers.jobs,
            logs: workers.logs, metrics: workers.metrics, archives: try LocalStores(loaded.configuration).archives(),
            workers: workers, logger: logger)
    }

    /// The directory of the daemon, beside which its other programs are installed.
    private static var programs: String {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
    }

    private static func program(_ name: String) -> String { "\(programs)/\(name)" }

    private static func embedded<Store>(_ store: Store?, _ key: String) throws -> Store {
        guard let store else {
            throw MissingBackendError(key: key, advice: "this backend needs storage.mode: workers")
        }
        return store
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
        let bytes = Array((line + "\n").utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }
}
