public import FoundationEssentials
import X509

/// One side of a TLS connection: its certificate (with intermediates, if any), its key, and the authority it trusts.
public struct TLSIdentity: Sendable, Hashable {
    /// PEM text.
    public let certificate: String
    /// The certificate's private key.
    public let key: PrivateKeyPEM
    /// PEM text.
    public let authority: String

    /// Takes PEM texts as they are; ``problem(as:at:)`` looks at them.
    public init(certificate: String, key: PrivateKeyPEM, authority: String) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
    }

    /// Reads PEM files. Throws `missing` with the path of the first that is not there.
    public init(certificatePath: String, keyPath: String, authorityPath: String) throws(SecurityError) {
        self.init(
            certificate: try ExclusiveFile.read(certificatePath),
            key: PrivateKeyPEM(try ExclusiveFile.read(keyPath)),
            authority: try ExclusiveFile.read(authorityPath))
    }

    /// Why a peer of the same authority would refuse this identity, or nil.
    ///
    /// Looks, in this order, at the syntax, at whether key and certificate belong together, at the signature of the
    /// authority, at the period, and at the use.
    public func problem(as use: CertificateUse, at now: Date = Date()) async -> SecurityError? {
        do {
            let chain = try parsed()
            let check = PeerVerification(authority: try authorities(), use: use, serverNames: [])
            return await check.problem(of: chain, at: now)
        } catch {
            return error
        }
    }

    /// Throws what is wrong with the texts and with key and certificate together; looks at no clock and no authority.
    func check() throws(SecurityError) {
        _ = try parsed()
        _ = try authorities()
    }

    func authorities() throws(SecurityError) -> [Certificate] {
        try PEM.certificates(authority, what: "CA certificate")
    }

    func chain() throws(SecurityError) -> [Certificate] {
        try PEM.certificates(certificate, what: "certificate")
    }

    private func parsed() throws(SecurityError) -> [Certificate] {
        let chain = try chain()
        let key = try PEM.privateKey(key, what: "private key")
        guard key.publicKey == chain[0].publicKey else { throw .keyMismatch(subject: chain[0].displayName) }
        return chain
    }
}
