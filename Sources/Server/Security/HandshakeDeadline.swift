import NIOCore
import NIOSSL
import NIOTLS

/// Closes a connection whose TLS handshake does not end in time.
///
/// Without it anyone could hold all connections that the server allows, without any certificate.
final class HandshakeDeadline: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let time: TimeAmount
    private var deadline: Scheduled<Void>?

    private init(_ time: TimeAmount) {
        self.time = time
    }

    /// Gives a new TLS connection `time` for its handshake. Call it before the channel becomes active, from
    /// `onAcceptTCPConnection`. Fails when the channel has no TLS handler.
    static func apply(_ time: Duration, to channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            let tls = try pipeline.handler(type: NIOSSLHandler.self)
            try pipeline.addHandler(HandshakeDeadline(TimeAmount(time)), position: .after(tls))
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent { deadline?.cancel() }
        context.fireUserInboundEventTriggered(event)
    }
}
