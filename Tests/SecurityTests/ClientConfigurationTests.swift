import Foundation
import JobletSecurity
import Testing
import YAML

@Suite struct ClientConfigurationTests {
    private func identity() throws -> TLSIdentity {
        let authority = try CertificateAuthority()
        return TLSIdentity(try authority.issueClient(role: .admin), trusting: authority)
    }

    private func value(of key: String, in node: Node) -> Node? {
        node.pairs?.first { $0.key.scalar?.text == key }?.value
    }

    @Test(arguments: ["192.168.1.5:50051", "[2001:db8::1]:50051", "a\"b\\c: #d:1"])
    func `the file read as YAML gives back what went in`(address: String) throws {
        let identity = try identity()
        let configuration = try ClientConfiguration(address: address, nodeID: "f47ac10b", identity: identity)
        let root = try #require(try Node(parsing: configuration.yaml))
        #expect(value(of: "version", in: root)?.scalar?.text == "3.0")
        let nodes = try #require(value(of: "nodes", in: root)?.pairs)
        #expect(nodes.map(\.key.scalar?.text) == ["default"])
        let fields = try #require(nodes.first?.value.pairs).map { ($0.key.scalar?.text, $0.value.scalar?.text) }
        let expected = [
            ("address", address), ("nodeId", "f47ac10b"), ("cert", identity.certificate),
            ("key", identity.key.text), ("ca", identity.authority),
        ]
        #expect(fields.map(\.0) == expected.map(\.0))
        #expect(fields.map(\.1) == expected.map(\.1))
    }

    @Test func `the file is readable by its owner only and is not overwritten`() async throws {
        let configuration = try ClientConfiguration(address: "localhost:50051", nodeID: "", identity: identity())
        try await withTemporaryFolder { folder in
            let path = "\(folder)/\(ClientConfiguration.viewerFileName)"
            try configuration.write(to: path)
            #expect(try mode(path) == 0o600)
            #expect(throws: SecurityError.exists(path: path)) { try configuration.write(to: path) }
            try configuration.write(to: path, force: true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["rnx-config-viewer.yml"])
        }
    }

    @Test(arguments: ["a\nkey: evil", "a\r", "a\0", "a\u{85}b"])
    func `an address that would break the line is refused`(address: String) throws {
        let identity = try identity()
        #expect(throws: SecurityError.self) {
            try ClientConfiguration(address: address, nodeID: "", identity: identity)
        }
        #expect(throws: SecurityError.self) {
            try ClientConfiguration(address: "localhost:1", nodeID: address, identity: identity)
        }
    }
}
