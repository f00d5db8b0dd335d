import ArgumentParser

/// `rnx nodes`.
struct NodesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "List the nodes of the configuration file.")

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        guard let file = try NodeFile.find(connection.config, .process) else { throw NodeFile.notFound }
        let list = NodeList(file.nodes, selected: Surroundings.process.value("RNX_NODE") ?? "default")
        try StandardOutput.write(connection.json ? list.json.pretty + "\n" : list.text)
    }
}
