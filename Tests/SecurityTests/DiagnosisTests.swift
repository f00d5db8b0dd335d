import Foundation
import JobletSecurity
import Testing
import X509

@Suite struct DiagnosisTests {
    @Test func `an expired certificate is named with its date`() async throws {
        let authority = try CertificateAuthority(at: daysAgo(400))
        let client = try authority.issueClient(role: .admin, days: 30, at: daysAgo(400))
        let problem = await TLSIdentity(client, trusting: authority).problem(as: .client)
        #expect(problem == .expired(subject: "admin-client", notAfter: client.certificate.notValidAfter))
        #expect(problem?.summary == "certificate has expired")
        #expect(problem?.description.hasPrefix("certificate has expired: admin-client, on 2") == true)
    }

    @Test func `a certificate from the future is not yet valid`() async throws {
        let future = Date() + 3600
        let authority = try CertificateAuthority()
        let client = try authority.issueClient(role: .viewer, at: future)
        let problem = await TLSIdentity(client, trusting: authority).problem(as: .client)
        #expect(problem?.summary == "certificate is not yet valid")
        #expect(await TLSIdentity(client, trusting: authority).problem(as: .client, at: future) == nil)
    }

    @Test func `an authority that has expired is the problem of its clients`() async throws {
        let authority = try CertificateAuthority(days: 60, at: daysAgo(90))
        let client = try authority.issueClient(role: .admin, days: 59, at: daysAgo(90))
        let identity = TLSIdentity(client, trusting: authority)
        #expect(await identity.problem(as: .client, at: daysAgo(80)) == nil)
        #expect(await identity.problem(as: .client)?.summary == "certificate has expired")
    }

    @Test func `another authority of the same name is told apart`() async throws {
        let (one, other) = (try CertificateAuthority(), try CertificateAuthority())
        let client = try one.issueClient(role: .admin)
        let problem = await TLSIdentity(client, trusting: other).problem(as: .client)
        #expect(problem == .otherAuthority(subject: "admin-client"))
        #expect(problem?.summary == "certificate signed by another CA")
    }

    @Test func `a forged signature is the signature of another authority`() async throws {
        let authority = try CertificateAuthority()
        let client = try authority.issueClient(role: .admin)
        var der = try derBytes(client.certificatePEM)
        der[der.count - 1] ^= 1
        let forged = pemCertificate(der)
        let identity = TLSIdentity(certificate: forged, key: client.key, authority: authority.certificatePEM)
        let problem = await identity.problem(as: .client)
        #expect(problem == .otherAuthority(subject: "admin-client"))
    }

    @Test func `a key of another certificate does not match`() async throws {
        let authority = try CertificateAuthority()
        let (client, other) = (try authority.issueClient(role: .admin), try authority.issueClient(role: .admin))
        let identity = TLSIdentity(
            certificate: client.certificatePEM, key: other.key, authority: authority.certificatePEM)
        let problem = await identity.problem(as: .client)
        #expect(problem == .keyMismatch(subject: "admin-client"))
        #expect(problem?.summary == "key does not match certificate")
    }

    @Test func `a certificate for the other side is not for this use`() async throws {
        let authority = try CertificateAuthority()
        let client = TLSIdentity(try authority.issueClient(role: .admin), trusting: authority)
        #expect(await client.problem(as: .server) == .wrongUse(subject: "admin-client", use: .server))
        let server = TLSIdentity(try authority.issueServer(names: SubjectNames()), trusting: authority)
        #expect(await server.problem(as: .client) == .wrongUse(subject: "joblet-server", use: .client))
    }

    @Test func `a missing file is named before anything else is looked at`() throws {
        #expect(throws: SecurityError.missing(path: "/nonexistent/key.pem")) {
            try TLSIdentity(certificatePath: "/dev/null", keyPath: "/nonexistent/key.pem", authorityPath: "/dev/null")
        }
    }

    @Test(arguments: [(31, 0), (30, 0), (29, 1), (1, 1)])
    func `the last thirty days are announced`(daysLeft: Int, expected: Int) throws {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let authority = try CertificateAuthority(at: now)
        let client = try authority.issueClient(role: .admin, days: daysLeft, at: now)
        let identity = TLSIdentity(client, trusting: authority)
        let expiries = try identity.expiries(at: now)
        #expect(expiries.map(\.subject) == Array(repeating: "admin-client", count: expected))
        #expect(expiries.allSatisfy { $0.daysLeft == daysLeft })
    }

    @Test func `certificate and authority that end soon are both announced, the earlier first`() throws {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let authority = try CertificateAuthority(days: 20, at: now)
        let identity = TLSIdentity(try authority.issueClient(role: .admin, days: 1, at: now), trusting: authority)
        let expiries = try identity.expiries(at: now + 2 * 86400)
        #expect(
            expiries.map(\.description) == [
                "certificate admin-client has expired on 2027-01-16T08:00:00Z",
                "certificate Joblet-CA expires in 18 days, on 2027-02-04T08:00:00Z",
            ])
    }
}
