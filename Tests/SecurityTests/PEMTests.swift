import Foundation
import JobletSecurity
import Testing

@Suite struct PEMTests {
    static let authority = Result { try CertificateAuthority() }
    static let client = Result { try authority.get().issueClient(role: .admin) }

    /// Texts that are no certificate, each by name.
    private static func hostile(_ good: String) throws -> [(String, String)] {
        let lines = good.split(separator: "\n")
        let der = try derBytes(good)
        let hugeLength = [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 64)
        return [
            ("empty", ""),
            ("no PEM", "hello"),
            ("zero bytes", String(repeating: "\0", count: 100)),
            ("no end", lines.dropLast().joined(separator: "\n")),
            ("no begin", lines.dropFirst().joined(separator: "\n")),
            ("wrong end", good.replacingOccurrences(of: "END CERTIFICATE", with: "END PRIVATE KEY")),
            ("empty block", pemCertificate(Data())),
            ("bad base64", good.replacingOccurrences(of: "\nMII", with: "\n!!!")),
            ("truncated DER", pemCertificate(der.prefix(der.count / 2))),
            ("trailing DER", pemCertificate(der + [0, 0])),
            ("huge length", pemCertificate(Data(hugeLength))),
            ("deep nesting", pemCertificate(Data(nested(depth: 2000)))),
            ("too many", String(repeating: good, count: 33)),
            ("too long", good + String(repeating: " ", count: 1 << 20)),
            ("a second broken one", good + pemCertificate(Data([0, 0, 0]))),
        ]
    }

    /// Sequences in sequences.
    private static func nested(depth: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<depth {
            let length = bytes.count
            let header = [0x30, 0x83, UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF)]
            bytes = header + bytes
        }
        return bytes
    }

    @Test func `hostile text in place of a certificate is malformed and nothing worse`() async throws {
        let (authority, client) = (try Self.authority.get(), try Self.client.get())
        for (name, text) in try Self.hostile(client.certificatePEM) {
            let own = TLSIdentity(certificate: text, key: client.key, authority: authority.certificatePEM)
            guard case .malformed = await own.problem(as: .client) else {
                Issue.record("\(name) is not malformed")
                continue
            }
            #expect(throws: SecurityError.self, "\(name)") { try ServerTLS(own) }
            #expect(throws: SecurityError.self, "\(name)") { try ClientTLS(own, host: "joblet") }
            let trust = TLSIdentity(certificate: client.certificatePEM, key: client.key, authority: text)
            #expect(throws: SecurityError.self, "\(name)") { try ServerTLS(trust) }
            #expect(throws: SecurityError.self, "\(name)") {
                try CertificateAuthority(certificate: text, key: authority.keyPEM)
            }
        }
    }

    @Test func `hostile text in place of a key is malformed and never repeated`() async throws {
        let (authority, client) = (try Self.authority.get(), try Self.client.get())
        let secret = client.key.text
        for text in [
            "", "hello", client.certificatePEM, secret + secret, String(secret.dropLast(40)),
            secret.replacingOccurrences(of: "PRIVATE KEY", with: "ENCRYPTED PRIVATE KEY"),
            secret.replacingOccurrences(of: "PRIVATE KEY", with: "RSA PRIVATE KEY"),
            secret.replacingOccurrences(of: "\nM", with: "\nA"),
        ] {
            let identity = TLSIdentity(
                certificate: client.certificatePEM, key: PrivateKeyPEM(text), authority: authority.certificatePEM)
            let problem = try #require(await identity.problem(as: .client))
            guard case .malformed(let what, _) = problem else {
                Issue.record("\(problem)")
                continue
            }
            #expect(what == "private key")
            for line in secret.split(separator: "\n").dropFirst().dropLast() {
                #expect(!problem.description.contains(line))
            }
        }
    }

    @Test(arguments: ["\r\n", "\n"])
    func `line ends, blank lines and text around the blocks do no harm`(end: String) async throws {
        let (authority, client) = (try Self.authority.get(), try Self.client.get())
        func decorated(_ pem: String) -> String {
            ("subject=CN = admin-client\n\n" + pem + "\n").replacingOccurrences(of: "\n", with: end)
        }
        let identity = TLSIdentity(
            certificate: decorated(client.certificatePEM), key: PrivateKeyPEM(decorated(client.key.text)),
            authority: decorated(authority.certificatePEM))
        #expect(await identity.problem(as: .client) == nil)
    }

    @Test func `a key file of OpenSSL with its parameters block is read`() async throws {
        try await withTemporaryFolder { folder in
            let made = try await run(
                "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", "\(folder)/key.pem")
            try #require(made.status == 0, "\(made.output)")
            let key = try String(contentsOfFile: "\(folder)/key.pem", encoding: .utf8)
            #expect(key.contains("EC PARAMETERS"))
            let client = try Self.client.get()
            let identity = TLSIdentity(
                certificate: client.certificatePEM, key: PrivateKeyPEM(key),
                authority: try Self.authority.get().certificatePEM)
            #expect(await identity.problem(as: .client) == .keyMismatch(subject: "admin-client"))
        }
    }

    @Test func `a key shows nothing of itself`() throws {
        let client = try Self.client.get()
        var dumped = ""
        dump(TLSIdentity(client, trusting: try Self.authority.get()), to: &dumped)
        let line = try #require(client.key.text.split(separator: "\n").dropFirst().first)
        #expect(!dumped.contains(line))
        #expect("\(client.key)" == "<redacted>")
        #expect(String(reflecting: client.key) == "<redacted>")
    }
}
