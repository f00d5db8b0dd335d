import ArgumentParser

/// Options of every command: which server to talk to, and how to print.
struct ConnectionOptions: ParsableArguments {
    @Option(
        parsing: .unconditional, help: "Configuration file; without it RNX_CONFIG and the usual places are searched.")
    var config: String?

    @Option(parsing: .unconditional, help: "Node of the configuration file (default: RNX_NODE, else \"default\").")
    var node: String?

    @Option(parsing: .unconditional, help: "Server as host:port, instead of the node's address (JOBLET_SERVER).")
    var server: String?

    @Option(parsing: .unconditional, help: "Client certificate file (JOBLET_CERT_PATH).")
    var cert: String?

    @Option(parsing: .unconditional, help: "Private key file (JOBLET_KEY_PATH).")
    var key: String?

    @Option(parsing: .unconditional, help: "CA certificate file (JOBLET_CA_PATH).")
    var ca: String?

    @Flag(help: "Print JSON.")
    var json = false
}
