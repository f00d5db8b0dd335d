import AWSSupport
import CloudBackends
import Foundation
import TestSupport
import Testing

@Suite struct TLSTests {
    /// A certificate of 127.0.0.1, signed by itself, and its key.
    static func certificate(in directory: TemporaryDirectory) throws -> (path: String, key: String) {
        let (certificate, key) = ("\(directory.path)/cert.pem", "\(directory.path)/key.pem")
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        #expect(openssl.terminationStatus == 0)
        return (certificate, key)
    }

    @Test func `a server's certificate is checked against the bundle`() async throws {
        let directory = try TemporaryDirectory()
        let (certificate, key) = try Self.certificate(in: directory)
        let server = try MotoServer(certificate: (certificate, key))
        let request = HTTPRequest("GET", server.endpoint + "/")
        let bundle = AWSService.caBundle { ["AWS_CA_BUNDLE": certificate, "SSL_CERT_FILE": key][$0] }
        let reply = try await HTTPClient(caBundle: bundle).send(request)
        #expect(reply.status == 200)
        await #expect(throws: HTTPError.self) { try await HTTPClient(caBundle: nil).send(request) }
        await #expect(throws: HTTPError.self) { try await HTTPClient(caBundle: key).send(request) }
        #expect(AWSService.caBundle { ["SSL_CERT_FILE": "/b"][$0] } == "/b")
    }
}
