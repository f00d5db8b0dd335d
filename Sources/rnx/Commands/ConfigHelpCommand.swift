import ArgumentParser

/// `rnx config-help`.
struct ConfigHelpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config-help", abstract: "Show where the configuration comes from and how it is written.")

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let text = ConfigurationHelp.text(Surroundings.process)
        guard connection.json else { return try StandardOutput.write(text) }
        let files = Surroundings.process.configurationFiles
        try StandardOutput.write(JSON.object([("files", .strings(files)), ("help", .string(text))]).pretty + "\n")
    }
}

enum ConfigurationHelp {
    static func text(_ surroundings: Surroundings) -> String {
        let files = surroundings.configurationFiles.map { path in
            "  \(path)\(TextFile.exists(path) ? "  (exists)" : "")"
        }
        return """
            The configuration file is what --config names, else the first of these that exists:

            \(files.joined(separator: "\n"))

            It lists nodes, each with an address and the certificates that it takes to talk to it:

              version: "3.0"
              nodes:
                default:
                  address: "host:50051"
                  nodeId: "optional"
                  cert: |
                    -----BEGIN CERTIFICATE-----
                    ...
                  key: |
                    -----BEGIN PRIVATE KEY-----
                    ...
                  ca: |
                    -----BEGIN CERTIFICATE-----
                    ...

            `joblet certs init` writes such a file. --node or RNX_NODE chooses a node.

            Flags and environment go before the file:

              --config  RNX_CONFIG        --server  JOBLET_SERVER
              --node    RNX_NODE          --cert    JOBLET_CERT_PATH
                                          --key     JOBLET_KEY_PATH
                                          --ca      JOBLET_CA_PATH

            Without a file, --server is localhost:\(ServerAddress.defaultPort) and the certificates are
            certs/client-cert.pem, certs/client-key.pem and certs/ca-cert.pem.

            NO_COLOR or RNX_NO_COLOR turns colours off.

            """
    }
}
