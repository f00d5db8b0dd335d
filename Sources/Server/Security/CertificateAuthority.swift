import Crypto
public import FoundationEssentials
public import X509

/// A certificate authority of one installation: its own certificate, and the key that signs all others.
///
/// Keys are ECDSA P-256 and signatures SHA-256: what every TLS 1.2 and 1.3 client has, with the handshake's cost on the
/// server a tenth of RSA-2048's. An authority that another program made works too, whatever its key.
public struct CertificateAuthority: Sendable {
    /// How long a new authority is valid: ten years, because replacing it means replacing every client's certificate.
    public static let defaultDays = 3650

    /// How long a new server or client certificate is valid.
    public static let defaultLeafDays = 365

    /// How far certificates reach back, so that a peer whose clock is behind accepts a new one.
    static let backdating: TimeInterval = 5 * 60

    /// The self-signed certificate that peers trust.
    public let certificate: Certificate

    /// The same as PEM text.
    public let certificatePEM: String

    /// The signing key, as PEM text.
    public let keyPEM: PrivateKeyPEM

    private let key: Certificate.PrivateKey

    /// Creates a new authority.
    public init(days: Int = defaultDays, at now: Date = Date()) throws(SecurityError) {
        let signing = P256.Signing.PrivateKey()
        let validity = try Validity(days: days, from: now)
        let key = Certificate.PrivateKey(signing)
        let subject = DistinguishedName(organizationalUnit: "CA", commonName: "Joblet-CA")
        certificate = try issuing {
            try Certificate(
                version: .v3,
                serialNumber: .random128(),
                publicKey: key.publicKey,
                notValidBefore: validity.notBefore,
                notValidAfter: validity.notAfter,
                issuer: subject,
                subject: subject,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                },
                issuerPrivateKey: key)
        }
        certificatePEM = try certificate.pem(what: "CA certificate")
        keyPEM = PrivateKeyPEM(signing.pemRepresentation + "\n")
        self.key = key
    }

    /// Takes an authority from its PEM texts.
    ///
    /// Throws `keyMismatch` when they do not belong together, `wrongUse` when the certificate is not an authority's.
    public init(certificate text: String, key pem: PrivateKeyPEM) throws(SecurityError) {
        let certificate = try PEM.certificates(text, what: "CA certificate")[0]
        let key = try PEM.privateKey(pem, what: "CA key")
        guard key.publicKey == certificate.publicKey else {
            throw .keyMismatch(subject: certificate.displayName)
        }
        let constraints = try issuing { try certificate.extensions.basicConstraints }
        guard case .isCertificateAuthority = constraints else {
            throw .notIssuable(reason: "\(certificate.displayName) is not the certificate of an authority")
        }
        self.certificate = certificate
        self.key = key
        certificatePEM = text
        keyPEM = pem
    }

    /// Issues a certificate for a server with these names.
    public func issueServer(
        names: SubjectNames, days: Int = defaultLeafDays, at now: Date = Date()
    ) throws(SecurityError) -> IssuedCertificate {
        let subject = DistinguishedName(organizationalUnit: "Server", commonName: "joblet-server")
        return try issue(subject, for: .server, names: names.names, days: days, at: now)
    }

    /// Issues a certificate for a client in a role, with the common name `<role>-client` unless another is given.
    public func issueClient(
        role: Role, commonName: String? = nil, days: Int = defaultLeafDays, at now: Date = Date()
    ) throws(SecurityError) -> IssuedCertificate {
        guard role != .unknown else {
            throw .notIssuable(reason: "a client needs a role")
        }
        let name = commonName ?? "\(role.rawValue)-client"
        // RFC 5280 gives a common name at most 64 characters.
        guard (1...64).contains(name.count), !name.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
            throw .notIssuable(reason: "a common name has 1 to 64 printable characters")
        }
        let subject = DistinguishedName(organizationalUnit: role.rawValue, commonName: name)
        return try issue(subject, for: .client, names: [], days: days, at: now)
    }

    private func issue(
        _ subject: DistinguishedName, for use: CertificateUse, names: [GeneralName], days: Int, at now: Date
    ) throws(SecurityError) -> IssuedCertificate {
        let validity = try Validity(days: days, from: now)
        guard validity.notAfter <= certificate.notValidAfter else {
            let end = certificate.notValidAfter.formatted(.iso8601)
            throw .notIssuable(reason: "it would outlive its authority, which ends on \(end)")
        }
        let leaf = P256.Signing.PrivateKey()
        let publicKey = Certificate.PublicKey(leaf.publicKey)
        let authorityKey = SubjectKeyIdentifier(hash: key.publicKey).keyIdentifier
        let issued = try issuing {
            let authorityIdentifier = try certificate.extensions.subjectKeyIdentifier?.keyIdentifier ?? authorityKey
            return try Certificate(
                version: .v3,
                serialNumber: .random128(),
                publicKey: publicKey,
                notValidBefore: validity.notBefore,
                notValidAfter: validity.notAfter,
                issuer: certificate.subject,
                subject: subject,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([use.extendedKeyUsage])
                    SubjectKeyIdentifier(hash: publicKey)
                    AuthorityKeyIdentifier(keyIdentifier: authorityIdentifier)
                    if !names.isEmpty { SubjectAlternativeNames(names) }
                },
                issuerPrivateKey: key)
        }
        return IssuedCertificate(
            certificate: issued,
            certificatePEM: try issued.pem(what: "certificate"),
            key: PrivateKeyPEM(leaf.pemRepresentation + "\n"))
    }
}

/// A certificate that an authority has signed, with the key that was made for it.
public struct IssuedCertificate: Sendable {
    /// The certificate.
    public let certificate: Certificate
    /// The same as PEM text.
    public let certificatePEM: String
    /// Its private key.
    public let key: PrivateKeyPEM
}

/// The period of a certificate.
private struct Validity {
    let notBefore: Date
    let notAfter: Date

    init(days: Int, from now: Date) throws(SecurityError) {
        guard (1...36500).contains(days) else {
            throw .notIssuable(reason: "a certificate is valid for 1 to 36500 days, not \(days)")
        }
        notBefore = now - CertificateAuthority.backdating
        notAfter = now + TimeInterval(days) * 86400
    }
}

/// Runs a step of the certificate library and gives its errors our type.
private func issuing<T>(_ step: () throws -> T) throws(SecurityError) -> T {
    do {
        return try step()
    } catch {
        throw .notIssuable(reason: "\(error)")
    }
}

extension Certificate.SerialNumber {
    /// Sixteen random bytes.
    fileprivate static func random128() -> Self {
        var generator = SystemRandomNumberGenerator()
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        // Neither negative nor shortened by leading zeros: DER would drop them, and some tools compare texts.
        bytes[0] = bytes[0] & 0x7F | 0x40
        return Self(bytes: bytes)
    }
}

extension DistinguishedName {
    fileprivate init(organizationalUnit: String, commonName: String) {
        self.init([
            RelativeDistinguishedName(.init(type: .RDNAttributeType.organizationName, utf8String: "Joblet")),
            RelativeDistinguishedName(
                .init(type: .RDNAttributeType.organizationalUnitName, utf8String: organizationalUnit)),
            RelativeDistinguishedName(.init(type: .RDNAttributeType.commonName, utf8String: commonName)),
        ])
    }
}
