public import NIOCore
import NIOSSL
import NIOTLS

/// The oldest version of TLS that a connection may use.
public enum MinimumTLSVersion: String, Sendable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"

    /// Makes a new TLS connection keep to this version. Call it before the channel becomes active, from
    /// `onAcceptTCPConnection` or `onCreateTCPConnection`.
    ///
    /// The transport itself always allows TLS 1.2 and has no option for it, so the stricter rule sits behind the TLS
    /// handler of the channel. The handshake of an older peer completes, but no byte above TLS passes either way: the
    /// connection is closed instead. Fails when the channel has no TLS handler.
    public func apply(to channel: any Channel) -> EventLoopFuture<Void> {
        guard self == .tls13 else { return channel.eventLoop.makeSucceededVoidFuture() }
        return channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            let tls = try pipeline.handler(type: NIOSSLHandler.self)
            try pipeline.addHandler(OlderVersionRefusal(), position: .after(tls))
        }
    }
}

/// Closes a connection whose handshake ended with a version before TLS 1.3.
private final class OlderVersionRefusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var isRefused = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        if isTLS13(context) {
            context.fireUserInboundEventTriggered(event)
        } else {
            // Without the event the handlers behind this one never start HTTP/2.
            isRefused = true
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isRefused { context.fireChannelRead(data) }
    }

    private func isTLS13(_ context: ChannelHandlerContext) -> Bool {
        do {
            return try context.pipeline.syncOperations.nioSSL_tlsVersion() == .tlsv13
        } catch {
            return false
        }
    }
}
