public import FoundationEssentials

/// What can be wrong with certificates, keys and the files that hold them.
public enum SecurityError: Error, Hashable, Sendable {
    case expired(subject: String, notAfter: Date)
    case notYetValid(subject: String, notBefore: Date)
    case otherAuthority(subject: String)
    case keyMismatch(subject: String)
    /// The certificate was issued for something else than the use it is put to.
    case wrongUse(subject: String, use: CertificateUse)
    case wrongServerName(subject: String, accepted: [String])

    case missing(path: String)
    case exists(path: String)
    /// Others may write to the folder, so what it holds cannot be trusted.
    case unsafeDirectory(path: String)
    case system(call: String, path: String, errno: Int32)

    /// Text that is not the certificate or key it should be.
    case malformed(what: String, reason: String)
    /// A certificate that cannot be issued as asked.
    case notIssuable(reason: String)
}

extension SecurityError: CustomStringConvertible {
    /// The kind of error alone, in the words that OpenSSL users know.
    public var summary: String {
        switch self {
        case .expired: "certificate has expired"
        case .notYetValid: "certificate is not yet valid"
        case .otherAuthority: "certificate signed by another CA"
        case .keyMismatch: "key does not match certificate"
        case .wrongUse: "certificate is not for this use"
        case .wrongServerName: "certificate is for another server"
        case .missing: "file missing"
        case .exists: "file exists"
        case .unsafeDirectory: "directory is writable by others"
        case .system(let call, _, _): "\(call) failed"
        case .malformed(let what, _): "malformed \(what)"
        case .notIssuable: "certificate cannot be issued"
        }
    }

    /// The kind of error with the certificate or file it concerns.
    public var description: String {
        switch self {
        case .expired(let subject, let date): "\(summary): \(subject), on \(date.formatted(.iso8601))"
        case .notYetValid(let subject, let date): "\(summary): \(subject), before \(date.formatted(.iso8601))"
        case .otherAuthority(let subject), .keyMismatch(let subject): "\(summary): \(subject)"
        case .wrongUse(let subject, let use): "\(summary): \(subject) is not a \(use) certificate"
        case .wrongServerName(let subject, let accepted):
            "\(summary): \(subject) names none of \(accepted.joined(separator: ", "))"
        case .missing(let path), .exists(let path), .unsafeDirectory(let path): "\(summary): \(path)"
        case .system(_, let path, let errno): "\(summary): \(path): \(errorText(errno))"
        case .malformed(_, let reason), .notIssuable(let reason): "\(summary): \(reason)"
        }
    }
}
