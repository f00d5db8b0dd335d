import SwiftASN1
import X509

/// Reads certificates and keys out of PEM text, which may come from anyone.
enum PEM {
    /// More text than any chain of certificates needs.
    static let maximumBytes = 1 << 20

    /// Longer than any chain in use.
    static let maximumCertificates = 32

    /// The certificates of the text, at least one, in its order. Other blocks and text between blocks are passed over.
    static func certificates(_ text: String, what: String) throws(SecurityError) -> [Certificate] {
        let blocks = try documents(text, what: what).filter { $0.discriminator == "CERTIFICATE" }
        guard !blocks.isEmpty else {
            throw .malformed(what: what, reason: "no certificate in the PEM text")
        }
        guard blocks.count <= maximumCertificates else {
            throw .malformed(what: what, reason: "more than \(maximumCertificates) certificates")
        }
        do {
            return try blocks.map { try Certificate(pemDocument: $0) }
        } catch {
            throw .malformed(what: what, reason: "\(error)")
        }
    }

    /// The only private key of the text.
    static func privateKey(_ key: PrivateKeyPEM, what: String) throws(SecurityError) -> Certificate.PrivateKey {
        let blocks = try documents(key.text, what: what).filter { $0.discriminator.hasSuffix("PRIVATE KEY") }
        guard let block = blocks.first, blocks.count == 1 else {
            throw .malformed(what: what, reason: "\(blocks.count) private keys in the PEM text")
        }
        guard block.discriminator != "ENCRYPTED PRIVATE KEY" else {
            throw .malformed(what: what, reason: "the key is protected by a passphrase")
        }
        do {
            return try Certificate.PrivateKey(pemDocument: block)
        } catch {
            // The error of the parser may quote what it read.
            throw .malformed(what: what, reason: "not a private key of a known kind")
        }
    }

    private static func documents(_ text: String, what: String) throws(SecurityError) -> [PEMDocument] {
        guard text.utf8.count <= maximumBytes else {
            throw .malformed(what: what, reason: "more than \(maximumBytes) bytes")
        }
        do {
            return try PEMDocument.parseMultiple(pemString: text)
        } catch {
            throw .malformed(what: what, reason: "not PEM text with base64 in lines of 64 characters")
        }
    }
}

extension Certificate {
    /// What messages call this certificate: its common name, else its whole subject.
    var displayName: String {
        let names = subject.lazy.joined().filter { $0.type == .RDNAttributeType.commonName }
        return names.compactMap { String($0.value) }.first ?? subject.description
    }

    func pem(what: String) throws(SecurityError) -> String {
        do {
            return try serializeAsPEM().pemString + "\n"
        } catch {
            throw .malformed(what: what, reason: "\(error)")
        }
    }
}
