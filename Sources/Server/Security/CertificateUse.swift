import X509

/// The side of a TLS connection that a certificate is for.
public enum CertificateUse: String, Sendable, Hashable {
    case server
    case client

    var extendedKeyUsage: ExtendedKeyUsage.Usage {
        switch self {
        case .server: .serverAuth
        case .client: .clientAuth
        }
    }

    /// Whether the certificate may be used like this; one that names no uses may be used for any.
    func isAllowed(by certificate: Certificate) -> Bool {
        do {
            guard let usages = try certificate.extensions.extendedKeyUsage else { return true }
            return usages.contains(extendedKeyUsage) || usages.contains(.any)
        } catch {
            return false
        }
    }
}
