public import GRPCNIOTransportHTTP2Posix
import NIOCore

/// TLS of a server: only clients with a certificate of its authority get through the handshake.
///
/// Which of them may do what is decided later, by ``Role``.
public struct ServerTLS: Sendable {
    private let identity: TLSIdentity
    private let minimumVersion: MinimumTLSVersion
    private let handshakeTime: Duration

    /// Gives each client `handshakeTime` for its handshake, a slow line's round trips many times over.
    ///
    /// Throws `malformed` or `keyMismatch` for texts that cannot serve.
    public init(
        _ identity: TLSIdentity, minimumVersion: MinimumTLSVersion = .tls12, handshakeTime: Duration = .seconds(20)
    ) throws(SecurityError) {
        try identity.check()
        self.identity = identity
        self.minimumVersion = minimumVersion
        self.handshakeTime = handshakeTime
    }

    /// What the transport is created with.
    public var transportSecurity: HTTP2ServerTransport.Posix.TransportSecurity {
        .mTLS(certificateChain: [.pem(identity.certificate)], privateKey: .pem(identity.key)) { tls in
            tls.trustRoots = .certificates([.pem(identity.authority)])
        }
    }

    /// Adds the minimum version and the time for the handshake to the configuration of the transport, after what its
    /// callback already does.
    public func configure(_ configuration: inout HTTP2ServerTransport.Posix.Config) {
        let (minimumVersion, handshakeTime) = (minimumVersion, handshakeTime)
        let accept = configuration.channelDebuggingCallbacks.onAcceptTCPConnection
        configuration.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
            let accepted = accept?(channel) ?? channel.eventLoop.makeSucceededVoidFuture()
            return accepted.flatMap { minimumVersion.apply(to: channel) }
                .flatMap { HandshakeDeadline.apply(handshakeTime, to: channel) }
        }
    }
}

extension TLSConfig.CertificateSource {
    static func pem(_ text: String) -> Self {
        .bytes(Array(text.utf8), format: .pem)
    }
}

extension TLSConfig.PrivateKeySource {
    static func pem(_ key: PrivateKeyPEM) -> Self {
        .bytes(Array(key.text.utf8), format: .pem)
    }
}
