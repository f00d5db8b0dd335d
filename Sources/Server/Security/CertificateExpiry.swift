public import FoundationEssentials
import X509

/// A certificate that ends soon or has ended.
public struct CertificateExpiry: Sendable, Hashable {
    /// How early the owner of a certificate is warned.
    public static let warningDays = 30

    /// The common name of the certificate.
    public let subject: String
    /// The end of its validity.
    public let notAfter: Date
    /// Whole days left; 0 on the last day, negative after the end.
    public let daysLeft: Int
}

extension CertificateExpiry: CustomStringConvertible {
    /// `certificate admin-client expires in 12 days, on …`.
    public var description: String {
        let date = notAfter.formatted(.iso8601)
        guard daysLeft >= 0 else { return "certificate \(subject) has expired on \(date)" }
        return "certificate \(subject) expires in \(daysLeft) day\(daysLeft == 1 ? "" : "s"), on \(date)"
    }
}

extension TLSIdentity {
    /// The certificates of this identity and of its authority that end within `days`, the earliest first.
    public func expiries(
        within days: Int = CertificateExpiry.warningDays, at now: Date = Date()
    ) throws(SecurityError) -> [CertificateExpiry] {
        let day: TimeInterval = 86400
        return try (chain() + authorities())
            .map { certificate in
                let left = certificate.notValidAfter.timeIntervalSince(now) / day
                return CertificateExpiry(
                    subject: certificate.displayName, notAfter: certificate.notValidAfter,
                    daysLeft: Int(left.rounded(.down)))
            }
            .filter { $0.daysLeft < days }
            .sorted { $0.notAfter < $1.notAfter }
    }
}
