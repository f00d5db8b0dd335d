import JobletSecurity
import YAML

/// A node as the configuration file describes it. Nothing is required until it is used.
struct ConfiguredNode: Equatable {
    let name: String
    var address = ""
    var nodeID = ""
    /// PEM texts.
    var certificate = ""
    var key = ""
    var authority = ""

    var hasCertificates: Bool { !certificate.isEmpty && !key.isEmpty && !authority.isEmpty }
}

/// The configuration file of `rnx`.
struct NodeFile {
    let path: String
    /// In the order of the file.
    let nodes: [ConfiguredNode]

    /// The file that `explicit` names, else the first that exists of the usual ones, nil when there is none.
    static func find(_ explicit: String?, _ surroundings: Surroundings) throws(Failure) -> NodeFile? {
        if let explicit {
            guard TextFile.exists(explicit) else {
                throw Failure(.local, "client configuration file not found: \(explicit)")
            }
            return try NodeFile(path: explicit)
        }
        guard let path = surroundings.configurationFiles.first(where: TextFile.exists) else { return nil }
        return try NodeFile(path: path)
    }

    /// What is said when there is no file and no other way to know the server.
    static let notFound = Failure(
        .local,
        "client configuration file not found. Please create rnx-config.yml or specify path with --config")

    /// Reads the file at `path`.
    init(path: String) throws(Failure) {
        let text: String
        do {
            text = try TextFile.read(path)
        } catch {
            throw Failure(.local, "failed to read client config file \(path): \(error)")
        }
        try self.init(text, path: path)
    }

    /// Reads the text of a file.
    init(_ text: String, path: String) throws(Failure) {
        self.path = path
        let root: Node?
        do {
            root = try Node(parsing: text)
        } catch {
            throw Failure(.local, "failed to parse client config \(path): \(error)")
        }
        guard let root else { throw Failure(.local, "no nodes configured in \(path)") }
        guard let top = root.pairs else {
            throw Failure(.local, "failed to parse client config \(path): not a mapping with the key nodes")
        }
        guard let entries = Self.value(of: "nodes", in: top), !entries.isNull else {
            throw Failure(.local, "no nodes configured in \(path)")
        }
        guard let entries = entries.pairs else {
            throw Failure(.local, "failed to parse client config \(path): nodes is not a mapping")
        }
        var nodes: [ConfiguredNode] = []
        for entry in entries {
            nodes.append(try Self.node(entry, path: path))
        }
        guard !nodes.isEmpty else { throw Failure(.local, "no nodes configured in \(path)") }
        self.nodes = nodes
    }

    /// The node of that name.
    func node(_ name: String) throws(Failure) -> ConfiguredNode {
        guard let node = nodes.first(where: { $0.name == name }) else {
            throw Failure(.local, "node '\(name)' not found in configuration")
        }
        return node
    }

    private static func node(_ entry: Node.Pair, path: String) throws(Failure) -> ConfiguredNode {
        guard let name = entry.key.scalar?.text, let fields = entry.value.pairs else {
            throw Failure(.local, "failed to parse client config \(path): a node is not a mapping")
        }
        func text(_ key: String) throws(Failure) -> String {
            guard let field = value(of: key, in: fields) else { return "" }
            guard let scalar = field.scalar else {
                throw Failure(.local, "failed to parse client config \(path): \(key) of node \(name) is not a text")
            }
            return scalar.text
        }
        return ConfiguredNode(
            name: name, address: try text("address"), nodeID: try text("nodeId"), certificate: try text("cert"),
            key: try text("key"), authority: try text("ca"))
    }

    private static func value(of key: String, in fields: [Node.Pair]) -> Node? {
        fields.first { $0.key.scalar?.text == key }?.value
    }
}
