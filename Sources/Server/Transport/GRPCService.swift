import Engine
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import JobletAPI
import JobletSecurity
import Logging
import ServiceLifecycle
import Storage

/// The gRPC server of a node: one TCP listener with mutual TLS.
struct GRPCService: Service {
    /// How long calls may take to end once the server is told to stop.
    private static let closingTime = Duration.seconds(1)

    let engine: JobEngine
    let configuration: Configuration
    let tls: ServerTLS
    let logger: Logger
    /// Hears the address once connections are taken.
    let isListening: @Sendable (String) -> Void

    func run() async throws {
        let closing = ClosingSignal()
        let address = try ListenAddress(host: configuration.server.address, port: configuration.server.port)
        let transport = HTTP2ServerTransport.Posix(
            address: address.resolved, transportSecurity: tls.transportSecurity, config: transportConfiguration)
        let server = GRPCServer(
            transport: transport, services: services(closing), interceptors: [RoleInterceptor()])
        let serving = Serving(server)
        defer { serving.abandon() }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await serving.end()
                return true
            }
            group.addTask {
                guard let address = try? await transport.listeningAddress else {
                    // The server says why.
                    return false
                }
                logger.info("listening", metadata: ["address": "\(address)"])
                isListening("\(address)")
                try await gracefulShutdown()
                closing.close()
                server.beginGracefulShutdown()
                // Calls that do not end by then are cut off.
                try await Task.sleep(for: GRPCService.closingTime)
                throw CancellationError()
            }
            defer { group.cancelAll() }
            do {
                while let isOver = try await group.next(), !isOver {}
            } catch is CancellationError {
            } catch {
                throw address.explanation(of: error)
            }
        }
    }

    func services(_ closing: ClosingSignal) -> [any RegistrableRPCService] {
        [
            JobService(engine: engine, closing: closing),
            TransferService(engine: engine, closing: closing),
            NodeService(information: nodeInformation),
            StorageService(engine: engine),
            PersistService(history: EngineHistory(engine: engine), closing: closing),
            NetworkService(), VolumeService(), RuntimeService(),
            MonitoringService(nodeID: engine.identity.id),
        ]
    }

    private var nodeInformation: Joblet_Ext_NodeInfo {
        var information = Joblet_Ext_NodeInfo()
        information.nodeID = engine.identity.id
        information.version = BuildInformation.version
        information.maxUploadBytes = UInt64(configuration.uploads.maxBytes)
        information.maxMessageBytes = UInt64(configuration.grpc.maxReceiveMessageBytes)
        information.defaultNetwork = configuration.network.defaultNetwork.rawValue
        information.networks = configuration.sandbox.allowHostNetwork ? ["none", "host"] : ["none"]
        return information
    }

    private var transportConfiguration: HTTP2ServerTransport.Posix.Config {
        let limits = configuration.grpc
        var result = HTTP2ServerTransport.Posix.Config.defaults
        result.rpc.maxRequestPayloadSize = limits.maxReceiveMessageBytes
        result.http2.maxConcurrentStreams = limits.maxConcurrentStreams
        // Log streams of a hundred megabytes a second need more than 64 KiB in flight.
        result.http2.targetWindowSize = 1 << 20
        result.connection.keepalive.time = limits.keepAliveTime
        result.connection.keepalive.timeout = limits.keepAliveTimeout
        // The original's clients send pings at this rate, with and without calls.
        result.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = limits.keepAliveTime / 2
        result.connection.keepalive.clientBehavior.allowWithoutCalls = true
        result.connection.maxIdleTime = limits.maxConnectionIdle > .zero ? limits.maxConnectionIdle : nil
        result.connection.maxAge = limits.maxConnectionAge > .zero ? limits.maxConnectionAge : nil
        result.connection.maxGraceTime = limits.maxConnectionAgeGrace
        if limits.maxConnections > 0 {
            result.channelDebuggingCallbacks.onBindTCPListener = { channel in
                ConnectionLimit.apply(limits.maxConnections, to: channel)
            }
        }
        tls.configure(&result)
        return result
    }
}
