public import GRPCNIOTransportHTTP2Posix
import NIOCore

/// TLS of a server: only clients with a certificate of its authority get through the handshake.
///
/// Which of them may do what is decided later, by ``Role``.
public struct ServerTLS: Sendable {
    private let identity: TLSIdentity
    private let minimumVersion: MinimumTLSVersion

    /// Throws `malformed` or `keyMismatch` for texts that cannot serve.
    public init(
        _ identity: TLSIdentity, minimumVersion: MinimumTLSVersion = .tls12
    ) throws(SecurityError) {
        try identity.check()
        self.identity = identity
        self.minimumVersion = minimumVersion
    }

    /// What the transport is created with.
    public var transportSecurity: HTTP2ServerTransport.Posix.TransportSecurity {
        .mTLS(certificateChain: [.pem(identity.certificate)], privateKey: .pem(identity.key)) { tls in
            tls.trustRoots = .certificates([.pem(identity.authority)])
        }
    }

    /// Adds the minimum version to the configuration of the transport, after what its callback already does.
    public func configure(_ configuration: inout HTTP2ServerTransport.Posix.Config) {
        let minimumVersion = minimumVersion
        let accept = configuration.channelDebuggingCallbacks.onAcceptTCPConnection
        configuration.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
            guard let accept else { return minimumVersion.apply(to: channel) }
            return accept(channel).flatMap { minimumVersion.apply(to: channel) }
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
