import Foundation
import JobletSecurity
import Testing

@Suite struct CertificateDirectoryTests {
    @Test func `a new installation has all files with their modes`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: "\(folder)/etc/joblet/certs")
            try certificates.initialize(names: SubjectNames())
            #expect(try mode(certificates.path) == 0o700)
            let names = try FileManager.default.contentsOfDirectory(atPath: certificates.path)
            #expect(Set(names) == Set(CertificateDirectory.File.allCases.map(\.rawValue)))
            for name in names {
                let mode = try mode("\(certificates.path)/\(name)")
                #expect(name.hasSuffix("-key.pem") ? mode == 0o600 : mode & 0o733 == 0o600, "\(name)")
            }
        }
    }

    @Test func `the default client files are the admin's`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames())
            #expect(try certificates.read(.clientCertificate) == certificates.read(.adminCertificate))
            #expect(try certificates.read(.clientKey) == certificates.read(.adminKey))
        }
    }

    @Test func `every identity of a new installation is in order`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames())
            let server = try certificates.serverIdentity()
            #expect(await server.problem(as: .server) == nil)
            for role in [Role.admin, .viewer] {
                let client = try certificates.clientIdentity(role)
                #expect(await client.problem(as: .client) == nil)
            }
        }
    }

    @Test(arguments: CertificateDirectory.File.allCases)
    func `one existing file stops the initialization before it writes any`(
        file: CertificateDirectory.File
    ) async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try "precious".write(toFile: certificates.path(of: file), atomically: false, encoding: .utf8)
            #expect(throws: SecurityError.exists(path: "\(folder)/\(file.rawValue)")) {
                try certificates.initialize(names: SubjectNames())
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [file.rawValue])
            #expect(try certificates.read(file) == "precious")
        }
    }

    @Test func `with force a new authority replaces everything`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames())
            let old = try certificates.clientIdentity(.admin)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o666], ofItemAtPath: certificates.path(of: .authorityKey))
            try certificates.initialize(names: SubjectNames(), force: true)
            #expect(try mode(certificates.path(of: .authorityKey)) == 0o600)
            let current = try certificates.clientIdentity(.admin)
            let mixed = TLSIdentity(certificate: old.certificate, key: old.key, authority: current.authority)
            #expect(await mixed.problem(as: .client) == .otherAuthority(subject: "admin-client"))
        }
    }

    @Test func `a client is renewed with the authority that is there, and only with force`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames())
            let before = try certificates.read(.viewerCertificate)
            #expect(throws: SecurityError.exists(path: certificates.path(of: .viewerCertificate))) {
                try certificates.issueClient(role: .viewer)
            }
            #expect(try certificates.read(.viewerCertificate) == before)
            try certificates.issueClient(role: .viewer, days: 10, force: true)
            #expect(try certificates.read(.viewerCertificate) != before)
            let renewed = try certificates.clientIdentity(.viewer)
            #expect(await renewed.problem(as: .client) == nil)
        }
    }

    @Test func `a symbolic link in place of a key is not followed`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: "\(folder)/certs")
            let victim = "\(folder)/victim"
            try "untouched".write(toFile: victim, atomically: false, encoding: .utf8)
            try certificates.initialize(names: SubjectNames())
            let key = certificates.path(of: .serverKey)
            try FileManager.default.removeItem(atPath: key)
            try FileManager.default.createSymbolicLink(atPath: key, withDestinationPath: victim)
            try FileManager.default.removeItem(atPath: certificates.path(of: .serverCertificate))
            #expect(throws: SecurityError.exists(path: key)) {
                try certificates.issueServer(names: SubjectNames())
            }
            try certificates.issueServer(names: SubjectNames(), force: true)
            #expect(try String(contentsOfFile: victim, encoding: .utf8) == "untouched")
            #expect(try certificates.read(.serverKey).contains("PRIVATE KEY"))
        }
    }

    @Test func `a dangling link counts as an existing file`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try FileManager.default.createSymbolicLink(
                atPath: certificates.path(of: .authorityKey), withDestinationPath: "\(folder)/elsewhere")
            #expect(throws: SecurityError.exists(path: certificates.path(of: .authorityKey))) {
                try certificates.initialize(names: SubjectNames())
            }
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/elsewhere"))
        }
    }

    @Test func `of many writers exactly one creates the files`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: "\(folder)/certs")
            let created = await withTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask { Self.initializes(certificates) ? 1 : 0 }
                }
                return await group.reduce(0, +)
            }
            #expect(created == 1)
            let names = try FileManager.default.contentsOfDirectory(atPath: certificates.path)
            #expect(names.count == CertificateDirectory.File.allCases.count)
            let (server, viewer) = (try certificates.serverIdentity(), try certificates.clientIdentity(.viewer))
            #expect(await server.problem(as: .server) == nil)
            #expect(await viewer.problem(as: .client) == nil)
        }
    }

    @Test(arguments: [0o777, 0o770, 0o702])
    func `a folder that others may write to is refused`(permissions: Int) async throws {
        try await withTemporaryFolder { folder in
            try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: folder)
            #expect(throws: SecurityError.unsafeDirectory(path: folder)) {
                try CertificateDirectory(path: folder).initialize(names: SubjectNames())
            }
        }
    }

    @Test func `a missing file is named`() async throws {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            let error = #expect(throws: SecurityError.missing(path: "\(folder)/server-cert.pem")) {
                try certificates.serverIdentity()
            }
            #expect(error?.description == "file missing: \(folder)/server-cert.pem")
        }
    }

    @Test func `a path through a file is a system error`() async throws {
        try await withTemporaryFolder { folder in
            try "".write(toFile: "\(folder)/file", atomically: false, encoding: .utf8)
            let error = #expect(throws: SecurityError.self) {
                try CertificateDirectory(path: "\(folder)/file/certs").initialize(names: SubjectNames())
            }
            #expect(error == .system(call: "mkdir", path: "\(folder)/file/certs", errno: ENOTDIR))
        }
    }

    private static func initializes(_ certificates: CertificateDirectory) -> Bool {
        do {
            try certificates.initialize(names: SubjectNames())
            return true
        } catch {
            return false
        }
    }
}
