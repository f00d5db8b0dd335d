import Crypto
import Foundation
import JobletSecurity
import SwiftASN1
import Testing
import X509

@Suite struct RoleTests {
    @Test(arguments: [
        (["admin"], Role.admin), (["ADMIN"], .admin), (["Viewer"], .viewer), (["Operations", "viewer"], .viewer),
        (["viewer", "admin"], .viewer), (["admin", "viewer"], .admin), ([], .unknown), (["Operations"], .unknown),
        (["admin "], .unknown), (["administrator"], .unknown), (["adm\u{0131}n"], .unknown), ([""], .unknown),
        (["admin\0"], .unknown),
    ])
    func `the first organizational unit that names a role decides`(units: [String], role: Role) throws {
        #expect(Role(try certificate(units: units)) == role)
    }

    @Test func `a unit in one relative name with others counts`() throws {
        let name = RelativeDistinguishedName([
            .init(type: .RDNAttributeType.commonName, utf8String: "admin"),
            .init(type: .RDNAttributeType.organizationalUnitName, utf8String: "viewer"),
        ])
        #expect(Role(try certificate(subject: DistinguishedName([name]))) == .viewer)
    }

    @Test func `a role elsewhere than in the organizational unit counts for nothing`() throws {
        let subject = try DistinguishedName {
            OrganizationName("admin")
            CommonName("admin")
        }
        #expect(Role(try certificate(subject: subject)) == .unknown)
    }

    @Test(arguments: [Role.admin, .viewer])
    func `issued certificates grant their role`(role: Role) throws {
        #expect(Role(try CertificateAuthority().issueClient(role: role).certificate) == role)
    }

    @Test func `neither the server certificate nor the authority grants a role`() throws {
        let authority = try CertificateAuthority()
        #expect(Role(authority.certificate) == .unknown)
        #expect(Role(try authority.issueServer(names: SubjectNames()).certificate) == .unknown)
    }

    private func certificate(units: [String]) throws -> Certificate {
        try certificate(
            subject: DistinguishedName(
                units.map {
                    RelativeDistinguishedName(.init(type: .RDNAttributeType.organizationalUnitName, utf8String: $0))
                }))
    }

    private func certificate(subject: DistinguishedName) throws -> Certificate {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        return try Certificate(
            version: .v3, serialNumber: .init(), publicKey: key.publicKey, notValidBefore: Date(),
            notValidAfter: Date() + 60, issuer: subject, subject: subject, extensions: .init(), issuerPrivateKey: key)
    }
}
