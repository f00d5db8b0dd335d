import GRPCNIOTransportHTTP2Posix
import NIOCore
import Synchronization

/// How far a connection came, which tells a server that is not there from one that refuses.
final class ConnectionProgress: Sendable {
    enum Stage {
        case none
        /// TCP is up; TLS or HTTP/2 is not.
        case connected
        /// The server has accepted a stream.
        case ready
    }

    private let state = Mutex(Stage.none)

    /// The furthest that was reached.
    var stage: Stage { state.withLock { $0 } }

    /// Notes what the transport reports.
    func watch(_ callbacks: inout HTTP2ClientTransport.Config.ChannelDebuggingCallbacks) {
        callbacks.onCreateTCPConnection = { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(ActiveChannel(progress: self), position: .first)
            }
        }
        callbacks.onCreateHTTP2Stream = { channel in
            self.state.withLock { $0 = .ready }
            return channel.eventLoop.makeSucceededVoidFuture()
        }
    }

    fileprivate func noteConnected() {
        state.withLock { if $0 == .none { $0 = .connected } }
    }
}

/// Notes that TCP is up. The callback of the transport itself comes before the connection.
private final class ActiveChannel: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let progress: ConnectionProgress

    init(progress: ConnectionProgress) {
        self.progress = progress
    }

    func channelActive(context: ChannelHandlerContext) {
        progress.noteConnected()
        context.fireChannelActive()
    }
}
