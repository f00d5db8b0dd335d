public import FoundationEssentials
public import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOSSL
import SwiftASN1
import Synchronization
import X509

/// TLS of a client that dials one server.
///
/// The server's certificate must come from the client's authority, be a server's, be valid now, and carry the name
/// `joblet` or the dialled name or address. So dialling an IP address works whatever the certificate lists.
public final class ClientTLS: Sendable {
    /// The name that every server certificate carries, sent as SNI and authority whatever is dialled.
    public static let serverName = "joblet"

    private let identity: TLSIdentity
    private let minimumVersion: MinimumTLSVersion
    private let verification: PeerVerification
    private let refusal = Mutex<SecurityError?>(nil)

    /// Takes the host that is dialled, without its port.
    ///
    /// Throws `malformed` or `keyMismatch` for texts that cannot serve.
    public init(
        _ identity: TLSIdentity, host: String, minimumVersion: MinimumTLSVersion = .tls12
    ) throws(SecurityError) {
        try identity.check()
        self.identity = identity
        self.minimumVersion = minimumVersion
        verification = PeerVerification(
            authority: try identity.authorities(), use: .server,
            serverNames: host == Self.serverName ? [host] : [Self.serverName, host])
    }

    /// What the transport is created with.
    public var transportSecurity: HTTP2ClientTransport.Posix.TransportSecurity {
        .mTLS(certificateChain: [.pem(identity.certificate)], privateKey: .pem(identity.key)) { tls in
            tls.trustRoots = .certificates([.pem(identity.authority)])
            // The callback takes the place of the library's verification, except that of names, which would know
            // only one name.
            tls.serverCertificateVerification = .noHostnameVerification
            tls.customVerificationCallback = { [self] certificates, promise in
                promise.completeWithTask { await self.verify(certificates) }
            }
        }
    }

    /// Adds the authority and the minimum version to the configuration of the transport, after what its callback
    /// already does.
    public func configure(_ configuration: inout HTTP2ClientTransport.Posix.Config) {
        configuration.http2.authority = Self.serverName
        let minimumVersion = minimumVersion
        let create = configuration.channelDebuggingCallbacks.onCreateTCPConnection
        configuration.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
            guard let create else { return minimumVersion.apply(to: channel) }
            return create(channel).flatMap { minimumVersion.apply(to: channel) }
        }
    }

    /// Why a connection failed, as far as certificates can explain it.
    ///
    /// That is what the last handshake found wrong with the server's certificate, else what is wrong with ours, which
    /// is what the server would not say in an error that a program can tell apart.
    public func explanation(at now: Date = Date()) async -> SecurityError? {
        if let refusal = refusal.withLock({ $0 }) { return refusal }
        return await identity.problem(as: .client, at: now)
    }

    private func verify(_ certificates: [NIOSSLCertificate]) async -> NIOSSLVerificationResultWithMetadata {
        let problem = await self.problem(of: certificates)
        refusal.withLock { $0 = problem }
        return problem == nil ? .certificateVerified(VerificationMetadata(nil)) : .failed
    }

    private func problem(of certificates: [NIOSSLCertificate]) async -> SecurityError? {
        do {
            let chain = try certificates.map { try Certificate(derEncoded: $0.toDERBytes()) }
            return await verification.problem(of: chain, at: Date())
        } catch {
            return .malformed(what: "server certificate", reason: "\(error)")
        }
    }
}
