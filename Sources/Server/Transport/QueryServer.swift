import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import JobletSecurity
import Logging
import ServiceLifecycle

/// The gRPC server of the worker `persist` at one address.
struct QueryServer: Service {
    /// How long calls may take to end once the server is told to stop.
    private static let closingTime = Duration.seconds(1)

    private enum Address {
        case socket(String)
        case tcp(ListenAddress)
    }

    private let address: Address
    private let tls: ServerTLS?
    private let interceptors: [any ServerInterceptor]
    private let history: any JobHistory
    private let configuration: Configuration
    private let logger: Logger

    /// The servers that the configuration asks for: on a Unix socket, and on TCP.
    static func all(_ configuration: Configuration, _ stores: WorkerStores, logger: Logger) throws -> [QueryServer] {
        let history = StoredHistory(stores: stores)
        try SocketDirectory.prepare(for: configuration.querySocket)
        // Who may open the socket may do everything: it is root's, as the stores are.
        var servers = [
            QueryServer(
                address: .socket(configuration.querySocket), tls: nil, interceptors: [], history: history,
                configuration: configuration, logger: logger)
        ]
        if let (host, port) = Configuration.hostAndPort(configuration.storage.query.address), let port {
            let tls =
                configuration.storage.query.tls
                ? try ServerTLS(
                    Daemon.identity(configuration), minimumVersion: configuration.security.minimumTLSVersion)
                : nil
            servers.append(
                QueryServer(
                    address: .tcp(try ListenAddress(host: host ?? "0.0.0.0", port: port)), tls: tls,
                    interceptors: tls == nil ? [ReadOnlyInterceptor()] : [RoleInterceptor()], history: history,
                    configuration: configuration, logger: logger))
        }
        return servers
    }

    func run() async throws {
        let closing = ClosingSignal()
        var transportConfiguration = HTTP2ServerTransport.Posix.Config.defaults
        transportConfiguration.rpc.maxRequestPayloadSize = 1 << 20
        transportConfiguration.http2.maxConcurrentStreams = configuration.grpc.maxConcurrentStreams
        transportConfiguration.http2.targetWindowSize = 1 << 20
        tls?.configure(&transportConfiguration)
        let transport = HTTP2ServerTransport.Posix(
            address: transportAddress, transportSecurity: tls?.transportSecurity ?? .plaintext,
            config: transportConfiguration)
        let server = GRPCServer(
            transport: transport, services: [PersistService(history: history, closing: closing)],
            interceptors: interceptors)
        let serving = Serving(server)
        defer { serving.abandon() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await serving.end() }
            group.addTask {
                let address = try await transport.listeningAddress
                if case .socket(let socket) = self.address, chmod(socket, 0o600) != 0 {
                    logger.warning("a socket's mode cannot be set", metadata: ["socket": "\(socket)"])
                }
                logger.info("answering queries", metadata: ["address": "\(address)"])
                try await gracefulShutdown()
                closing.close()
                server.beginGracefulShutdown()
                // Calls that do not end by then are cut off.
                try await Task.sleep(for: QueryServer.closingTime)
                throw CancellationError()
            }
            defer { group.cancelAll() }
            do {
                try await group.next()
            } catch is CancellationError {
            } catch {
                guard case .tcp(let address) = self.address else { throw error }
                throw address.explanation(of: error)
            }
        }
    }

    private var transportAddress: GRPCNIOTransportHTTP2Posix.SocketAddress {
        switch address {
        case .socket(let path): .unixDomainSocket(path: path)
        case .tcp(let address): address.resolved
        }
    }
}

/// Lets everyone of this host read and nobody change anything: for connections without certificates.
private struct ReadOnlyInterceptor: ServerInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        guard MethodTable.operations[context.descriptor]?.isAllowedToViewers == true else {
            throw RPCError(
                code: .permissionDenied,
                message: "connections without a certificate may only read: use the Unix socket, or storage.query.tls")
        }
        return try await next(request, context)
    }
}
