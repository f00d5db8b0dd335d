/// The answer of `nodes`.
struct NodeList {
    private let nodes: [ConfiguredNode]
    private let selected: String

    /// Takes the name of the node that is used when none is named.
    init(_ nodes: [ConfiguredNode], selected: String) {
        self.nodes = nodes
        self.selected = selected
    }

    var text: String {
        let blocks = nodes.map { node in
            var lines = ["\(node.name == selected ? "*" : " ") \(node.name.printable)"]
            lines.append("    Address: \(node.address.printable)")
            if !node.nodeID.isEmpty { lines.append("    Node ID: \(node.nodeID.printable)") }
            lines.append("    Cert: \(Self.masked(node.certificate))")
            lines.append("    Key:  \(Self.masked(node.key))")
            lines.append("    CA:   \(Self.masked(node.authority))")
            return lines.joined(separator: "\n")
        }
        return blocks.joined(separator: "\n") + "\n\nUse a node with: rnx --node <name> <command>\n"
    }

    var json: JSON {
        .array(
            nodes.map { node in
                var object = JSONObject()
                object.set("name", .string(node.name))
                object.set("address", .string(node.address))
                object.setIfAny("nodeId", node.nodeID)
                object.set("status", .string(node.hasCertificates && !node.address.isEmpty ? "active" : "error"))
                object.set("default", .bool(node.name == selected))
                return object.json
            })
    }

    private static func masked(_ text: String) -> String { text.isEmpty ? "missing" : "***" }
}
