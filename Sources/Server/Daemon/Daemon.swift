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
    private let logger: Logger

    /// Opens everything that can be refused before the first job: data directory, certificates.
    public init(
        configuration: Configuration, shimProgram: String, jobs: any JobStore, logs: any LogStore,
        metrics: any MetricStore, logger: Logger
    ) async throws {
        self.configuration = configuration
        self.logger = logger
        let identity = try Daemon.identity(configuration)
        tls = try ServerTLS(identity, minimumVersion: configuration.security.minimumTLSVersion)
        for expiry in try identity.expiries(within: CertificateExpiry.warningDays) {
            logger.warning("a certificate expires soon", metadata: ["certificate": "\(expiry)"])
        }
        engine = try JobEngine(
            configuration: configuration.engine(shimProgram: shimProgram), jobs: jobs, logs: logs, metrics: metrics,
            logger: logger)
    }

    private static func identity(_ configuration: Configuration) throws -> TLSIdentity {
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
        try await engine.start()
        let service = GRPCService(
            engine: engine, configuration: configuration, tls: tls, logger: logger, isListening: isListening)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await group.run()
        } catch {
            await engine.shutdown(stoppingJobs: false)
            throw error
        }
        await engine.shutdown(stoppingJobs: configuration.joblet.onShutdown == .stop)
        logger.info("stopped")
    }
}
