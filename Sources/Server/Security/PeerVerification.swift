import FoundationEssentials
import SwiftASN1
@_spi(DisableValidityCheck) import X509

/// The checks that a peer's certificate must pass, each with its own error.
struct PeerVerification: Sendable {
    let authority: [Certificate]
    let use: CertificateUse
    /// Names or IP addresses, of which the certificate must carry one; none = not checked.
    let serverNames: [String]

    /// The first check that the chain (leaf first) fails at `now`, or nil.
    func problem(of chain: [Certificate], at now: Date) async -> SecurityError? {
        guard let leaf = chain.first else {
            return .malformed(what: "certificate chain", reason: "it is empty")
        }
        // The verifier says in prose why it found no chain. Periods are the reason that people can act on, so they are
        // left to the check below, which knows which certificate has ended.
        var verifier = Verifier(rootCertificates: CertificateStore(authority)) {
            RFC5280Policy.withValidityCheckDisabled()
            ExtensionsCheckedHere()
        }
        let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore(chain.dropFirst()))
        guard case .validCertificate(let path) = result else {
            return .otherAuthority(subject: leaf.displayName)
        }
        for certificate in path {
            if certificate.notValidAfter < now {
                return .expired(subject: certificate.displayName, notAfter: certificate.notValidAfter)
            }
            if certificate.notValidBefore > now {
                return .notYetValid(subject: certificate.displayName, notBefore: certificate.notValidBefore)
            }
        }
        guard use.isAllowed(by: leaf) else {
            return .wrongUse(subject: leaf.displayName, use: use)
        }
        if serverNames.isEmpty { return nil }
        for name in serverNames where await Self.names(leaf, server: name) { return nil }
        return .wrongServerName(subject: leaf.displayName, accepted: serverNames)
    }

    /// Whether the alternative names of a certificate include a DNS name or IP address (RFC 6125).
    private static func names(_ leaf: Certificate, server name: String) async -> Bool {
        let isAddress = SubjectNames.address(name) != nil
        // Trusting the leaf itself leaves the name as the only question.
        var verifier = Verifier(rootCertificates: CertificateStore([leaf])) {
            ExtensionsCheckedHere()
            ServerIdentityPolicy(serverHostname: isAddress ? nil : name, serverIP: isAddress ? name : nil)
        }
        guard case .validCertificate = await verifier.validate(leaf: leaf, intermediates: CertificateStore()) else {
            return false
        }
        return true
    }
}

/// Tells the verifier that these extensions, where critical, are looked at by another of our checks.
private struct ExtensionsCheckedHere: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.extendedKeyUsage, .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.keyUsage,
        .X509ExtensionID.basicConstraints, .X509ExtensionID.nameConstraints,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        .meetsPolicy
    }
}
