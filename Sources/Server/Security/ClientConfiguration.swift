/// The configuration file of `rnx`: one node with the certificates that it takes to talk to it.
public struct ClientConfiguration: Sendable {
    /// The file of the admin.
    public static let adminFileName = "rnx-config.yml"

    /// The file of the viewer.
    public static let viewerFileName = "rnx-config-viewer.yml"

    /// The file of a client with that name.
    public static func fileName(of name: ClientName) -> String { "rnx-config-\(name.text).yml" }

    /// `host:port` that clients dial.
    public let address: String
    /// The node's id.
    public let nodeID: String
    /// What the client shows and trusts.
    public let identity: TLSIdentity

    /// Describes a node. Throws `malformed` for an address or node id that does not fit in one line.
    public init(address: String, nodeID: String, identity: TLSIdentity) throws(SecurityError) {
        let scalars = (address + nodeID).unicodeScalars
        guard !scalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw .malformed(what: "client configuration", reason: "control characters in an address or node id")
        }
        self.address = address
        self.nodeID = nodeID
        self.identity = identity
    }

    /// The file as YAML, with the private key in it.
    public var yaml: String {
        """
        # Client configuration of rnx. It holds a private key: keep it readable for its owner only.
        version: "3.0"

        nodes:
          default:
            address: \(Self.quoted(address))
            nodeId: \(Self.quoted(nodeID))
            cert: |
        \(Self.block(identity.certificate))
            key: |
        \(Self.block(identity.key.text))
            ca: |
        \(Self.block(identity.authority))

        """
    }

    /// Writes the file with mode 0600. Without `force`, throws `exists` when there is one.
    public func write(to path: String, force: Bool = false) throws(SecurityError) {
        try ExclusiveFile.write(yaml, to: path, mode: 0o600, replacing: force)
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }

    private static func block(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).map { "      \($0)" }.joined(separator: "\n")
    }
}
