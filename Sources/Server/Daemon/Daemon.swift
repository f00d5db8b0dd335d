import Engine
import JobletSecurity
public import Logging
import ServiceLifecycle
public import Storage
import UnixSignals

/// The daemon: an engine on the stores that it is given, behind a gRPC server.
public struct Daemon: Sendable {
    private let configuration: Configuration
    private let engine: JobEngine
    private let tls: ServerTLS
    private let workers: StorageWorkers?
    private let archives: Archives
    private let logger: Logger

    /// Opens everything that can be refused before the first job: certificates, data directory, and then the stores.
    ///
    /// Retention copies what it drops to `archives`. `workers` are the processes behind the stores, where those are not in this one: they run while the daemon does.
    public init(
        configuration: Configuration, shimProgram: String, jobs: @autoclosure @Sendable () throws -> any JobStore,
        logs: @autoclosure @Sendable () throws -> any LogStore,
        metrics: @autoclosure @Sendable () throws -> any MetricStore, archives: Archives = Archives(),
        workers: StorageWorkers? = nil, logger: Logger
    ) async throws {
        self.configuration = configuration
        self.workers = workers
        self.archives = archives
        self.logger = logger
        let identity = try Daemon.identity(configuration)
        tls = try ServerTLS(identity, minimumVersion: configuration.security.minimumTLSVersion)
        for expiry in try identity.expiries(within: CertificateExpiry.warningDays) {
            logger.warning("a certificate expires soon", metadata: ["certificate": "\(expiry)"])
        }
        engine = try JobEngine(
            configuration: configuration.engine(shimProgram: shimProgram), jobs: try jobs(), logs: try logs(),
            metrics: try metrics(), logger: logger)
    }

    static func identity(_ configuration: Configuration) throws -> TLSIdentity {
        if let embedded = configuration.security.embedded { return embedded }
        do throws(SecurityError) {
            return try CertificateDirectory(path: configuration.certificateDirectory).serverIdentity()
        } catch .missing(let path) {
            throw EngineError(.failedPrecondition, "\(path) is missing: `joblet certs init` makes the certificates")
        }
    }

    /// Serves until SIGTERM or SIGINT.
    ///
    /// `isListening` hears the address once connections are taken. Running jobs go on or are stopped as
    /// `joblet.onShutdown` says.
    public func run(isListening: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        do {
            try await workers?.start()
            try await engine.start()
            try await serve(isListening: isListening)
        } catch {
            await engine.shutdown(stoppingJobs: false)
            await workers?.stop()
            throw error
        }
        await engine.shutdown(stoppingJobs: configuration.joblet.onShutdown == .stop)
        await workers?.stop()
        logger.info("stopped")
    }

    private func serve(isListening: @escaping @Sendable (String) -> Void) async throws {
        let watching = Task { await workers?.watch() }
        defer { watching.cancel() }
        let service = GRPCService(
            engine: engine, configuration: configuration, tls: tls, logger: logger, isListening: isListening)
        let retention = RetentionService(
            engine: engine, storage: configuration.storage, archives: archives, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: service, successTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: retention, successTerminationBehavior: .ignore),
                ],
                // The end of the terminal is no reason to die at once.
                gracefulShutdownSignals: [.sigterm, .sigint, .sighup], logger: logger))
        try await group.run()
    }
}
