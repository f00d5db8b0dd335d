import DaemonSupport
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import JobletAPI
import JobletSecurity
import SwiftProtobuf
import Testing

@testable import Server

extension DaemonTests {
    @Suite struct ConnectionTests {}
}

extension DaemonTests.ConnectionTests {
    @Test func `only holders of a valid certificate of the authority get through`() async throws {
        try await DaemonProcess.run { daemon in
            let authority = try daemon.certificates.authority()
            let past = Date(timeIntervalSinceNow: -100 * 86400)
            let expired = try authority.issueClient(role: .admin, days: 10, at: past)
            let foreign = try CertificateAuthority().issueClient(role: .admin)
            let server = try daemon.certificates.serverIdentity()
            for caller in [
                Caller.anonymous, .holder(TLSIdentity(expired, authority)), .holder(TLSIdentity(foreign, authority)),
                .holder(server),
            ] {
                do {
                    let jobs = try await daemon.connect(as: caller) { try await $0.jobs.listJobs(.init()).jobs }
                    Issue.record("\(caller) was let in: \(jobs)")
                } catch let error as RPCError {
                    #expect(error.code == .unavailable, "\(caller): \(error)")
                }
            }
            let fresh = try authority.issueClient(role: .viewer)
            let jobs = try await daemon.connect(as: .holder(TLSIdentity(fresh, authority))) {
                try await $0.jobs.listJobs(.init()).jobs
            }
            #expect(jobs.isEmpty)
        }
    }

    @Test(arguments: [
        ("1.2", "TLSv1_1", "refused"), ("1.2", "TLSv1_2", "served"), ("1.2", "TLSv1_3", "served"),
        ("1.3", "TLSv1_2", "refused"), ("1.3", "TLSv1_3", "served"),
    ])
    func `TLS is spoken from the configured version on`(
        minimum: String, version: String, outcome: String
    ) async throws {
        try await DaemonProcess.run(["security.minTLSVersion": "\"\(minimum)\""]) { daemon in
            let result = try await runProgram(
                "/usr/bin/env",
                ["python3", "-c", Self.dialScript, "\(daemon.port)", daemon.certificates.path, version])
            #expect(result.output.hasSuffix("\(outcome)\n"), "\(result.output)")
        }
    }

    /// Speaks one version of TLS and sends the HTTP/2 preface; `served` where the server answers with HTTP/2.
    private static let dialScript = """
        import socket, ssl, sys
        port, folder, version = sys.argv[1:]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(folder + "/ca-cert.pem")
        context.load_cert_chain(folder + "/client-cert.pem", folder + "/client-key.pem")
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as raw:
            try:
                connection = context.wrap_socket(raw, server_hostname="joblet")
                connection.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                print("served" if connection.recv(100) else "refused")
            except (ssl.SSLError, ConnectionError) as error:
                print(error)
                print("refused")
        """

    @Test func `a connection over the limit waits until another ends`() async throws {
        try await DaemonProcess.run(["grpc.maxConnections": "2"]) { daemon in
            var impatient = CallOptions.defaults
            impatient.timeout = .milliseconds(700)
            let options = impatient
            try await daemon.connect { first in
                _ = try await first.jobs.listJobs(.init())
                try await daemon.connect { second in
                    _ = try await second.jobs.listJobs(.init())
                    await #expect(throws: RPCError.self) {
                        try await daemon.connect { try await $0.jobs.listJobs(.init(), options: options) }
                    }
                    // Those that are there are served as before.
                    _ = try await second.jobs.listJobs(.init())
                }
                let served = await holds {
                    do {
                        _ = try await daemon.connect { try await $0.jobs.listJobs(.init()) }
                        return true
                    } catch {
                        return false
                    }
                }
                #expect(served)
            }
        }
    }

    @Test func `a connection without a handshake is closed`() async throws {
        let daemon = try DaemonProcess()
        let identity = try daemon.certificates.serverIdentity()
        await daemon.end()
        let tls = try ServerTLS(identity, handshakeTime: .seconds(5))
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: tls.transportSecurity,
            config: .defaults { tls.configure(&$0) })
        let service = NodeService(information: .with { $0.version = "here" })
        try await withGRPCServer(transport: transport, services: [service]) { server in
            let port = try #require(try await server.listeningAddress?.ipv4).port
            let script =
                "import socket,sys; print(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20).recv(1))"
            let silent = try await runProgram("/usr/bin/env", ["python3", "-c", script, "\(port)"])
            #expect(silent.output == "b''\n")
            // A client that is through stays.
            let client = try ClientTLS(daemon.certificates.clientIdentity(.viewer), host: "127.0.0.1")
            let connection = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: client.transportSecurity,
                config: .defaults { client.configure(&$0) })
            try await withGRPCClient(transport: connection) { client in
                let node = Joblet_Ext_NodeService.Client(wrapping: client)
                #expect(try await node.getNodeInfo(.init()).version == "here")
                try await Task.sleep(for: .milliseconds(1200))
                #expect(try await node.getNodeInfo(.init()).version == "here")
            }
        }
    }

    @Test func `a message over the limit is refused and one below it is not`() async throws {
        try await DaemonProcess.run(["grpc.maxRecvMsgSize": "64KB"]) { daemon in
            try await daemon.connect { client async throws in
                func upload(_ count: Int) async throws -> Joblet_RunJobResponse {
                    try await client.run("true") { request in
                        request.uploads = [
                            .with {
                                $0.path = "a"; $0.content = Data(count: count)
                            }
                        ]
                    }
                }
                #expect(try await upload(60_000).jobUuid != "")
                await #expect(throws: RPCError.self) { try await upload(70_000) }
                #expect(try await upload(60_000).jobUuid != "")
                #expect(try await client.jobs.listJobs(.init()).jobs.count == 2)
                #expect(try await client.node.getNodeInfo(.init()).maxMessageBytes == 65536)
            }
        }
    }

    @Test func `a message of 100 MB passes the default limit`() async throws {
        try await DaemonProcess.run { daemon in
            try await daemon.connect { client in
                let job = try await client.shell("wc -c < a") { request in
                    request.uploads = [
                        .with {
                            $0.path = "a"; $0.content = Data(count: 100 << 20)
                        }
                    ]
                }
                #expect(try await client.text(job.jobUuid) == "104857600\n")
            }
        }
    }
}

extension TLSIdentity {
    init(_ issued: IssuedCertificate, _ authority: CertificateAuthority) {
        self.init(certificate: issued.certificatePEM, key: issued.key, authority: authority.certificatePEM)
    }
}
