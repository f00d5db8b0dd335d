import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import JobletAPI
import JobletSecurity
import SwiftProtobuf
import Testing
import X509

/// Answers with the role of the caller.
private struct RoleService: Joblet_Ext_NodeService.SimpleServiceProtocol {
    func getNodeInfo(
        request: Joblet_Ext_GetNodeInfoRequest, context: ServerContext
    ) async throws -> Joblet_Ext_NodeInfo {
        let peer = context.transportSpecific as? HTTP2ServerTransport.Posix.Context
        return .with { $0.version = peer?.peerCertificate.map { Role($0).rawValue } ?? "none" }
    }
}

/// The certificates of one test: an authority, a server with the usual names, and clients.
private struct Fixture {
    let authority: CertificateAuthority
    let server: TLSIdentity

    init(at now: Date = Date()) throws {
        authority = try CertificateAuthority(at: now)
        server = TLSIdentity(try authority.issueServer(names: SubjectNames()), trusting: authority)
    }

    func client(_ role: Role, days: Int = 365, at now: Date = Date()) throws -> TLSIdentity {
        TLSIdentity(try authority.issueClient(role: role, days: days, at: now), trusting: authority)
    }
}

/// Runs `body` with the port of a server on the loopback address.
@discardableResult
private func withServer<T: Sendable>(
    _ identity: TLSIdentity, minimumVersion: MinimumTLSVersion = .tls12, _ body: (Int) async throws -> T
) async throws -> T {
    let tls = try ServerTLS(identity, minimumVersion: minimumVersion)
    let transport = HTTP2ServerTransport.Posix(
        address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: tls.transportSecurity,
        config: .defaults { tls.configure(&$0) })
    return try await withGRPCServer(transport: transport, services: [RoleService()]) { server in
        let address = try #require(try await server.listeningAddress?.ipv4)
        return try await body(address.port)
    }
}

/// The role that the server sees, asked over `tls`.
private func role(port: Int, _ tls: ClientTLS) async throws -> String {
    try await role(port: port, tls.transportSecurity) { tls.configure(&$0) }
}

private func role(
    port: Int, _ security: HTTP2ClientTransport.Posix.TransportSecurity,
    configure: (inout HTTP2ClientTransport.Posix.Config) -> Void
) async throws -> String {
    let transport = try HTTP2ClientTransport.Posix(
        target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: security,
        config: .defaults(configure: configure))
    return try await withGRPCClient(transport: transport) { client in
        var options = CallOptions.defaults
        options.timeout = .seconds(60)
        return try await Joblet_Ext_NodeService.Client(wrapping: client)
            .getNodeInfo(.init(), options: options).version
    }
}

@Suite(.timeLimit(.minutes(2))) struct HandshakeTests {
    @Test(arguments: [Role.admin, .viewer], MinimumTLSVersion.allCases)
    func `a client of the authority is let in and seen in its role`(
        client: Role, minimum: MinimumTLSVersion
    ) async throws {
        let fixture = try Fixture()
        let tls = try ClientTLS(fixture.client(client), host: "127.0.0.1", minimumVersion: minimum)
        let seen = try await withServer(fixture.server, minimumVersion: minimum) { port in
            try await role(port: port, tls)
        }
        #expect(seen == client.rawValue)
        let problem = await tls.explanation()
        #expect(problem == nil)
    }

    @Test func `a client without a certificate is refused`() async throws {
        let fixture = try Fixture()
        try await withServer(fixture.server) { port in
            let error = await #expect(throws: RPCError.self) {
                try await role(
                    port: port,
                    .tls { tls in
                        let authority = Array(fixture.authority.certificatePEM.utf8)
                        tls.trustRoots = .certificates([.bytes(authority, format: .pem)])
                    }
                ) { $0.http2.authority = ClientTLS.serverName }
            }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func `a client of another authority is refused`() async throws {
        let (fixture, other) = (try Fixture(), try Fixture())
        let foreign = try other.client(.admin)
        // It trusts the server, so that only the server can be the one that refuses.
        let identity = TLSIdentity(
            certificate: foreign.certificate, key: foreign.key, authority: fixture.authority.certificatePEM)
        let tls = try ClientTLS(identity, host: "127.0.0.1")
        try await withServer(fixture.server) { port in
            let error = await #expect(throws: RPCError.self) { try await role(port: port, tls) }
            #expect(error?.code == .unavailable)
        }
        let problem = await tls.explanation()
        #expect(problem == .otherAuthority(subject: "admin-client"))
    }

    @Test func `an expired client is refused and can tell why`() async throws {
        let fixture = try Fixture(at: daysAgo(100))
        let identity = try fixture.client(.admin, days: 10, at: daysAgo(100))
        let tls = try ClientTLS(identity, host: "127.0.0.1")
        try await withServer(fixture.server) { port in
            let error = await #expect(throws: RPCError.self) { try await role(port: port, tls) }
            #expect(error?.code == .unavailable)
        }
        #expect(await tls.explanation()?.summary == "certificate has expired")
    }

    @Test func `a server certificate does not serve as a client's`() async throws {
        let fixture = try Fixture()
        let tls = try ClientTLS(fixture.server, host: "127.0.0.1")
        try await withServer(fixture.server) { port in
            let error = await #expect(throws: RPCError.self) { try await role(port: port, tls) }
            #expect(error?.code == .unavailable)
        }
        let problem = await tls.explanation()
        #expect(problem == .wrongUse(subject: "joblet-server", use: .client))
    }

    @Test func `a client refuses a server of another authority`() async throws {
        let (fixture, other) = (try Fixture(), try Fixture())
        let tls = try ClientTLS(fixture.client(.admin), host: "127.0.0.1")
        try await withServer(other.server) { port in
            await #expect(throws: RPCError.self) { try await role(port: port, tls) }
        }
        let problem = await tls.explanation()
        #expect(problem == .otherAuthority(subject: "joblet-server"))
    }

    @Test func `a client refuses an expired server`() async throws {
        let fixture = try Fixture(at: daysAgo(100))
        let server = try fixture.authority.issueServer(names: SubjectNames(), days: 10, at: daysAgo(100))
        let tls = try ClientTLS(fixture.client(.admin), host: "127.0.0.1")
        try await withServer(TLSIdentity(server, trusting: fixture.authority)) { port in
            await #expect(throws: RPCError.self) { try await role(port: port, tls) }
        }
        let problem = await tls.explanation()
        #expect(problem == .expired(subject: "joblet-server", notAfter: server.certificate.notValidAfter))
    }

    @Test func `a client refuses another client in the place of the server`() async throws {
        let fixture = try Fixture()
        let tls = try ClientTLS(fixture.client(.admin), host: "127.0.0.1")
        try await withServer(fixture.client(.viewer)) { port in
            await #expect(throws: RPCError.self) { try await role(port: port, tls) }
        }
        let problem = await tls.explanation()
        #expect(problem == .wrongUse(subject: "viewer-client", use: .server))
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("build.example.com", true), ("10.0.0.1", false), ("other.example.com", false),
    ])
    func `a certificate without the name joblet serves for the dialled name`(
        host: String, accepted: Bool
    ) async throws {
        try await withTemporaryFolder { folder in
            let fixture = try Fixture()
            let server = try await siteCertificate(
                in: folder, authority: fixture.authority, names: "DNS:build.example.com,IP:127.0.0.1")
            let tls = try ClientTLS(fixture.client(.admin), host: host)
            try await withServer(server) { port in
                if accepted {
                    let seen = try await role(port: port, tls)
                    #expect(seen == "admin")
                } else {
                    await #expect(throws: RPCError.self) { try await role(port: port, tls) }
                    #expect(
                        await tls.explanation()
                            == .wrongServerName(subject: "site", accepted: [ClientTLS.serverName, host]))
                }
            }
        }
    }

    @Test func `OpenSSL gets through with the admin's certificate, over TLS 1.3`() async throws {
        let result = try await dial(minimum: .tls12, versions: "TLSv1_2", "TLSv1_3", certificate: true)
        #expect(result.output.contains("TLSv1.3 h2"), "\(result.output)")
        #expect(result.output.contains("bytes from the server: yes"), "\(result.output)")
    }

    @Test func `TLS 1_2 is accepted by default`() async throws {
        let result = try await dial(minimum: .tls12, versions: "TLSv1_2", "TLSv1_2", certificate: true)
        #expect(result.output.contains("TLSv1.2 h2"), "\(result.output)")
        #expect(result.output.contains("bytes from the server: yes"), "\(result.output)")
    }

    @Test func `TLS 1_2 gets no byte when the minimum is 1_3`() async throws {
        let result = try await dial(minimum: .tls13, versions: "TLSv1_2", "TLSv1_2", certificate: true)
        #expect(result.output.contains("bytes from the server: no"), "\(result.output)")
    }

    @Test(arguments: MinimumTLSVersion.allCases)
    func `TLS 1_1 is refused in the handshake`(minimum: MinimumTLSVersion) async throws {
        let result = try await dial(minimum: minimum, versions: "TLSv1_1", "TLSv1_1", certificate: true)
        #expect(result.output.contains("handshake failed"), "\(result.output)")
        #expect(result.output.contains("alert protocol version"), "\(result.output)")
    }

    @Test func `OpenSSL without a certificate gets no byte`() async throws {
        let result = try await dial(minimum: .tls12, versions: "TLSv1_2", "TLSv1_3", certificate: false)
        #expect(result.output.contains("certificate required"), "\(result.output)")
        #expect(!result.output.contains("bytes from the server: yes"), "\(result.output)")
    }

    /// Connects Python's OpenSSL to a server, sends the HTTP/2 preface, and prints what came of it.
    private func dial(
        minimum: MinimumTLSVersion, versions lowest: String, _ highest: String, certificate: Bool
    ) async throws -> CommandResult {
        try await withTemporaryFolder { folder in
            let certificates = CertificateDirectory(path: folder)
            try certificates.initialize(names: SubjectNames())
            return try await withServer(certificates.serverIdentity(), minimumVersion: minimum) { port in
                try await run(
                    "python3", "-c", Self.dialScript, "\(port)", folder, lowest, highest,
                    certificate ? "with" : "without")
            }
        }
    }

    private static let dialScript = """
        import socket, ssl, sys
        port, folder, lowest, highest, certificate = sys.argv[1:]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(folder + "/ca-cert.pem")
        if certificate == "with":
            context.load_cert_chain(folder + "/client-cert.pem", folder + "/client-key.pem")
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion[lowest]
        context.maximum_version = ssl.TLSVersion[highest]
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as raw:
            try:
                connection = context.wrap_socket(raw, server_hostname="joblet")
            except ssl.SSLError as error:
                print("handshake failed:", error)
                sys.exit(1)
            print(connection.version(), connection.selected_alpn_protocol())
            try:
                connection.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                print("bytes from the server:", "yes" if connection.recv(100) else "no")
            except OSError as error:
                print("connection failed:", error)
        """

    /// A server certificate of our authority with other names than ours, as a site's own tools would make it.
    private func siteCertificate(
        in folder: String, authority: CertificateAuthority, names: String
    ) async throws -> TLSIdentity {
        let certificates = CertificateDirectory(path: folder)
        try authority.certificatePEM.write(
            toFile: certificates.path(of: .authorityCertificate), atomically: false, encoding: .utf8)
        try authority.keyPEM.text.write(
            toFile: certificates.path(of: .authorityKey), atomically: false, encoding: .utf8)
        let result = try await run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=site",
            "-addext", "subjectAltName=\(names)", "-addext", "extendedKeyUsage=serverAuth",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", certificates.path(of: .authorityCertificate), "-CAkey", certificates.path(of: .authorityKey),
            "-keyout", certificates.path(of: .serverKey), "-out", certificates.path(of: .serverCertificate))
        try #require(result.status == 0, "\(result.output)")
        return try certificates.serverIdentity()
    }
}
