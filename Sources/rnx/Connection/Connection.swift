import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import JobletAPI
import JobletSecurity
import NIOCore
import NIOPosix

/// One connection to one server.
struct Connection: Sendable {
    typealias Transport = HTTP2ClientTransport.Posix

    /// How long a server may take until it can be talked to.
    static let connectDeadline: Duration = .seconds(10)

    let address: ServerAddress
    let jobs: Joblet_JobService.Client<Transport>
    let monitoring: Joblet_MonitoringService.Client<Transport>
    let transfer: Joblet_Ext_TransferService.Client<Transport>
    let node: Joblet_Ext_NodeService.Client<Transport>
    let storage: Joblet_Ext_StorageService.Client<Transport>
    private let progress: ConnectionProgress
    private let tls: ClientTLS

    /// Connects, runs `body`, and disconnects. What goes wrong on the way comes out as a ``Failure`` that says why.
    static func open<Result: Sendable>(
        _ target: Target, deadline: Duration = connectDeadline,
        body: @Sendable @escaping (Connection) async throws -> Result
    ) async throws -> Result {
        let progress = ConnectionProgress()
        let tls: ClientTLS
        let client: GRPCClient<Transport>
        do {
            tls = try ClientTLS(target.identity, host: target.address.host)
            client = GRPCClient(transport: try transport(target.address, tls, progress))
        } catch let error as SecurityError {
            throw Failure(error)
        } catch {
            throw Failure(.unreachable, "cannot reach joblet at \(target.address): \(error)")
        }
        let connection = Connection(
            address: target.address, jobs: .init(wrapping: client), monitoring: .init(wrapping: client),
            transfer: .init(wrapping: client), node: .init(wrapping: client), storage: .init(wrapping: client),
            progress: progress, tls: tls)
        // Not awaited: the program ends with its command, and a server that is busy sending may take seconds to say
        // goodbye in TLS.
        let connections = Task { try await client.runConnections() }
        defer { connections.cancel() }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                // Cancelled with the group as soon as the body has its result.
                try await Task.sleep(for: deadline)
                guard progress.stage == .ready else {
                    throw await connection.unreachable("no answer within \(deadline.components.seconds) s")
                }
                return nil
            }
            group.addTask {
                do {
                    return try await body(connection)
                } catch let error as RPCError {
                    throw await connection.failure(error)
                }
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    /// Whether the server has answered before, so that it is likely to come back.
    var wasReached: Bool { progress.stage == .ready }

    /// Options of a call that answers once, within so many seconds.
    static func answering(within seconds: Int64) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = .seconds(seconds)
        options.waitForReady = false
        options.maxResponseMessageBytes = 1 << 28
        return options
    }

    /// Options of a call that streams until it ends.
    static var streaming: CallOptions {
        var options = CallOptions.defaults
        options.waitForReady = false
        options.maxResponseMessageBytes = 1 << 26
        return options
    }

    private static func transport(
        _ address: ServerAddress, _ tls: ClientTLS, _ progress: ConnectionProgress
    ) throws -> Transport {
        var configuration = Transport.Config.defaults
        // Logs arrive faster than the small default window lets them. More than this makes them slower again: the
        // decoder of frames copies what it has of a window anew at each read, for as long as more is on its way.
        configuration.http2.targetWindowSize = 1 << 20
        configuration.http2.maxFrameSize = 1 << 16
        progress.watch(&configuration.channelDebuggingCallbacks)
        tls.configure(&configuration)
        let target: any ResolvableTarget =
            switch address.family {
            case AF_INET: ResolvableTargets.IPv4.ipv4(address: address.host, port: address.port)
            case AF_INET6: ResolvableTargets.IPv6.ipv6(address: address.host, port: address.port)
            default: ResolvableTargets.DNS.dns(host: address.host, port: address.port)
            }
        // One thread serves the one connection.
        return try Transport(
            target: target, transportSecurity: tls.transportSecurity, config: configuration,
            eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1))
    }

    /// Why a call failed. Certificates are asked for a connection that came about on TCP only.
    private func failure(_ error: RPCError) async -> Failure {
        switch progress.stage {
        case .ready where error.code == .deadlineExceeded:
            return Failure(.server(error.code), "joblet at \(address) did not answer in time")
        case .ready:
            return Failure(.server(error.code), error.message)
        case .connected, .none:
            return await unreachable(error.reason)
        }
    }

    private func unreachable(_ reason: String) async -> Failure {
        if progress.stage == .connected, let problem = await tls.explanation() { return Failure(problem) }
        return Failure(.unreachable, "cannot reach joblet at \(address): \(reason)")
    }
}

extension RPCError {
    /// The first cause in the words of the system where it has any.
    fileprivate var reason: String {
        switch cause {
        case let error as IOError: systemText(error.errnoCode)
        case let error as RPCError: error.reason
        case let error?: "\(error)"
        case nil: code == .deadlineExceeded ? "no answer in time" : message
        }
    }
}
