import Foundation
import JobletSecurity
import SwiftASN1
import Testing
import X509

@Suite struct CertificateAuthorityTests {
    @Test func `OpenSSL accepts every certificate of a new installation for its use`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: "\(folder)/certs")
            try certificates.initialize(names: SubjectNames())
            let authority = certificates.path(of: .authorityCertificate)
            for (file, purpose) in [
                (CertificateDirectory.File.serverCertificate, "sslserver"), (.adminCertificate, "sslclient"),
                (.viewerCertificate, "sslclient"), (.clientCertificate, "sslclient"),
            ] {
                let path = certificates.path(of: file)
                let result = try await run(
                    "openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", authority, path)
                #expect(result.status == 0, "\(result.output)")
                #expect(result.output.contains("\(path): OK"))
            }
        }
    }

    @Test(arguments: [
        (CertificateDirectory.File.serverCertificate, "sslclient"), (.adminCertificate, "sslserver"),
    ])
    func `OpenSSL refuses a certificate for the other side`(
        file: CertificateDirectory.File, purpose: String
    ) async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames())
            let result = try await run(
                "openssl", "verify", "-purpose", purpose, "-CAfile", certificates.path(of: .authorityCertificate),
                certificates.path(of: file))
            #expect(result.status != 0, "\(result.output)")
        }
    }

    @Test func `a server certificate carries the fixed names and the given ones`() throws {
        let names = try SubjectNames(additional: ["Build.Example.com", "10.0.0.7", "2001:db8::7", "joblet"])
        let server = try CertificateAuthority().issueServer(names: names)
        let alternatives = try #require(try server.certificate.extensions.subjectAlternativeNames)
        let texts = alternatives.map { name -> String in
            switch name {
            case .dnsName(let text): text
            case .ipAddress(let bytes): bytes.bytes.map(String.init).joined(separator: ".")
            default: "unexpected"
            }
        }
        #expect(
            texts == [
                "localhost", "joblet", "joblet-server", "127.0.0.1", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1",
                "build.example.com", "10.0.0.7", "32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.7",
            ])
    }

    @Test func `OpenSSL matches the names of a server certificate`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames(additional: ["*.example.com", "fd00::1"]))
            let path = certificates.path(of: .serverCertificate)
            for (option, name, matches) in [
                ("-checkhost", "joblet", true), ("-checkhost", "a.example.com", true), ("-checkip", "127.0.0.1", true),
                ("-checkip", "::1", true), ("-checkip", "fd00::1", true), ("-checkhost", "example.org", false),
                ("-checkip", "10.0.0.1", false),
            ] {
                let result = try await run("openssl", "x509", "-noout", "-in", path, option, name)
                #expect(result.output.contains("does match certificate") == matches, "\(name): \(result.output)")
            }
        }
    }

    @Test(arguments: [
        "", ".", "a..b", "-a", "a-", "host:50051", "300.1.1.1", "1.2.3", "a b", "*", "*.com", "a.*.com", "ä.example",
        String(repeating: "a", count: 64), "fe80::1%eth0", "a\0b",
    ])
    func `a text that is neither an address nor a DNS name is refused`(text: String) {
        #expect(throws: SecurityError.self) { try SubjectNames(additional: [text]) }
    }

    @Test func `certificates have the profile of their use`() throws {
        let authority = try CertificateAuthority()
        let root = authority.certificate
        #expect(try root.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: 0))
        #expect(try root.extensions.keyUsage == KeyUsage(keyCertSign: true, cRLSign: true))

        let client = try authority.issueClient(role: .viewer).certificate
        #expect(try client.extensions.basicConstraints == .notCertificateAuthority)
        #expect(try client.extensions.keyUsage == KeyUsage(digitalSignature: true))
        #expect(try client.extensions.extendedKeyUsage == ExtendedKeyUsage([.clientAuth]))
        #expect(try client.extensions.subjectAlternativeNames == nil)
        #expect(client.subject.description == "CN=viewer-client,OU=viewer,O=Joblet")
        let identifier = try #require(try root.extensions.subjectKeyIdentifier?.keyIdentifier)
        #expect(try client.extensions.authorityKeyIdentifier?.keyIdentifier == identifier)

        let server = try authority.issueServer(names: SubjectNames()).certificate
        #expect(try server.extensions.extendedKeyUsage == ExtendedKeyUsage([.serverAuth]))
    }

    @Test func `serial numbers have sixteen bytes and differ`() throws {
        let authority = try CertificateAuthority()
        let serials = try (0..<20).map { _ in try authority.issueClient(role: .admin).certificate.serialNumber }
        #expect(Set(serials).count == 20)
        #expect(serials.allSatisfy { $0.bytes.count == 16 })
    }

    @Test func `a certificate begins five minutes back and lasts the asked days`() throws {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let client = try CertificateAuthority(at: now).issueClient(role: .admin, days: 90, at: now).certificate
        #expect(client.notValidBefore == now - 300)
        #expect(client.notValidAfter == now + 90 * 86400)
    }

    @Test(arguments: [0, -1, 36501, .max])
    func `a period that makes no sense is refused`(days: Int) throws {
        let authority = try CertificateAuthority()
        #expect(throws: SecurityError.self) { try authority.issueClient(role: .admin, days: days) }
        #expect(throws: SecurityError.self) { try CertificateAuthority(days: days) }
    }

    @Test func `nothing outlives its authority`() throws {
        let authority = try CertificateAuthority(days: 30)
        let error = #expect(throws: SecurityError.self) { try authority.issueClient(role: .admin, days: 31) }
        #expect(error?.description.contains("outlive") == true)
        _ = try authority.issueClient(role: .admin, days: 29)
    }

    @Test(arguments: ["", "a\nb", String(repeating: "x", count: 65)])
    func `a common name that X.509 has no room for is refused`(name: String) throws {
        let authority = try CertificateAuthority()
        #expect(throws: SecurityError.self) { try authority.issueClient(role: .admin, commonName: name) }
    }

    @Test func `a client without a role is not issued`() throws {
        let authority = try CertificateAuthority()
        #expect(throws: SecurityError.self) { try authority.issueClient(role: .unknown) }
    }

    @Test func `an authority read back from its files issues certificates of the same authority`() async throws {
        let authority = try CertificateAuthority()
        let again = try CertificateAuthority(certificate: authority.certificatePEM, key: authority.keyPEM)
        let client = try again.issueClient(role: .admin, commonName: "ci-runner")
        #expect(await TLSIdentity(client, trusting: authority).problem(as: .client) == nil)
    }

    @Test func `an RSA authority made by OpenSSL issues certificates that OpenSSL accepts`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            let made = try await run(
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
                "-subj", "/O=Site/CN=Site CA",
                "-keyout", certificates.path(of: .authorityKey), "-out", certificates.path(of: .authorityCertificate))
            try #require(made.status == 0, "\(made.output)")
            try certificates.issueServer(names: SubjectNames())
            try certificates.issueClient(role: .viewer)
            for file in [CertificateDirectory.File.serverCertificate, .viewerCertificate] {
                let result = try await run(
                    "openssl", "verify", "-CAfile", certificates.path(of: .authorityCertificate),
                    certificates.path(of: file))
                #expect(result.status == 0, "\(result.output)")
            }
        }
    }

    @Test func `an authority whose key is another's is refused`() throws {
        let (one, other) = (try CertificateAuthority(), try CertificateAuthority())
        #expect(throws: SecurityError.keyMismatch(subject: "Joblet-CA")) {
            try CertificateAuthority(certificate: one.certificatePEM, key: other.keyPEM)
        }
    }

    @Test func `a client certificate does not serve as an authority`() throws {
        let client = try CertificateAuthority().issueClient(role: .admin)
        #expect(throws: SecurityError.self) {
            try CertificateAuthority(certificate: client.certificatePEM, key: client.key)
        }
    }
}
