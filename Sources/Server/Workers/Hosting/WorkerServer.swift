import Glibc
import NIOCore
import NIOPosix
import Storage

/// Offers stores on a Unix socket to the daemon: processes of the same user, or root's.
public final class WorkerServer: Sendable {
    /// The longest frame where nothing else was configured.
    public static let defaultFrameLimit = Frames.defaultLimit

    private let listener: any Channel
    private let connections: OpenConnections

    private init(listener: any Channel, connections: OpenConnections) {
        self.listener = listener
        self.connections = connections
    }

    /// Listens at `socket`, mode 0600, whose directory is made with mode 0700 where it is missing.
    ///
    /// A socket that nobody listens on any more is replaced. Throws where others may write to the directory.
    public static func start(
        _ stores: WorkerStores, at socket: String, frameLimit: Int = defaultFrameLimit
    ) async throws -> WorkerServer {
        try await start(stores, at: socket, frameLimit: frameLimit, budget: RequestBudget())
    }

    static func start(
        _ stores: WorkerStores, at socket: String, frameLimit: Int, budget: RequestBudget
    ) async throws -> WorkerServer {
        try SocketDirectory.prepare(for: socket)
        let connections = OpenConnections()
        let dispatch = StoreDispatch(stores: stores, frameLimit: frameLimit)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                PeerCredentials.check(channel).flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandlers([
                        ByteToMessageHandler(FrameDecoder(limit: frameLimit)),
                        WorkerSession(dispatch: dispatch, budget: budget),
                    ])
                    connections.add(channel)
                }
            }
            .bind(unixDomainSocketPath: socket).get()
        guard chmod(socket, 0o600) == 0 else {
            let reason = String(cString: strerror(errno))
            try await listener.close()
            throw StorageError.unavailable(reason: "chmod \(socket): \(reason)")
        }
        return WorkerServer(listener: listener, connections: connections)
    }

    /// Stops listening and ends the connections; calls that run are cancelled.
    public func close() async {
        // Fails where it was closed already.
        _ = try? await listener.close()
        await connections.close()
    }
}
