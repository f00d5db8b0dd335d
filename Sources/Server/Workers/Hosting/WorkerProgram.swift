import Engine
import Glibc
public import Logging
import ServiceLifecycle
import Storage
import UnixSignals

/// What the programs `persist` and `state` do: offer stores until they are told to end.
public struct WorkerProgram: Sendable {
    private let name: String
    private let configuration: Configuration
    private let socket: String
    private let logger: Logger

    /// The program that offers logs and metrics, and answers queries itself.
    public static func persist(_ configuration: Configuration, logger: Logger) -> WorkerProgram {
        WorkerProgram(
            name: "persist", configuration: configuration, socket: configuration.persistSocket, logger: logger)
    }

    /// The program that offers job records.
    public static func state(_ configuration: Configuration, logger: Logger) -> WorkerProgram {
        WorkerProgram(name: "state", configuration: configuration, socket: configuration.stateSocket, logger: logger)
    }

    /// Runs until SIGTERM or SIGINT, or until the process `parent`, where there is one, ends.
    ///
    /// The stores are opened once no other process has the socket.
    public func run(parent: Int32?, opening stores: () async throws -> WorkerStores) async throws {
        if let parent, !ParentProcess.end(with: SIGTERM, afterEndOf: parent) {
            throw EngineError(.failedPrecondition, "process \(parent), for which this one was started, has ended")
        }
        let lock = try await SocketLock.take(socket, patience: SocketLock.patience)
        defer { lock.release() }
        let opened = try await stores()
        let server = try await WorkerServer.start(
            opened, at: socket, frameLimit: configuration.storage.workers.maxMessageBytes)
        logger.info("listening", metadata: ["socket": "\(socket)"])
        var services: [any Service] = [UntilShutdown()]
        do {
            if name == "persist" { services += try QueryServer.all(configuration, opened, logger: logger) }
            let group = ServiceGroup(
                configuration: .init(
                    services: services.map {
                        .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
                    }, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
            try await group.run()
        } catch {
            await server.close()
            throw error
        }
        await server.close()
        logger.info("stopped")
    }
}

/// Waits for the end of the program.
private struct UntilShutdown: Service {
    func run() async throws { try await gracefulShutdown() }
}
