import ArgumentParser
import JobletSecurity
import Server

/// `joblet certs`: the node's certificate authority.
struct CertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs", abstract: "Makes and issues certificates.", subcommands: [Initialize.self, Issue.self])

    /// `joblet certs init`: authority, server, admin and viewer, and the configurations of rnx.
    struct Initialize: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init",
            abstract: "Makes an authority, a server certificate and certificates for an admin and a viewer.")

        @OptionGroup var options: ConfigurationOptions

        @Option(help: "Another name or address by which clients reach the server; may be given several times.")
        var name: [String] = []

        @Option(help: "Days for which the certificates are valid; the authority's is valid for ten years.")
        var days = 365

        @Option(help: "HOST:PORT that the written rnx configurations name.")
        var address: String?

        @Flag(help: "Replaces what is there, the authority too: no older certificate is accepted any more.")
        var force = false

        func run() throws {
            let configuration = try options.load().configuration
            let directory = CertificateDirectory(path: configuration.certificateDirectory)
            let names = try SubjectNames(additional: name)
            try explainingForce { try directory.initialize(names: names, days: days, force: force) }
            let address = address ?? "\(name.first ?? "localhost"):\(configuration.server.port)"
            for (role, file) in [
                (Role.admin, ClientConfiguration.adminFileName), (.viewer, ClientConfiguration.viewerFileName),
            ] {
                try ClientConfiguration(
                    address: address, nodeID: configuration.server.nodeID, identity: try directory.clientIdentity(role)
                ).write(to: "\(directory.path)/\(file)", force: force)
            }
            print("Certificates written to \(directory.path)")
            print("rnx configuration: \(directory.path)/\(ClientConfiguration.adminFileName)")
        }
    }

    /// `joblet certs issue`: one more certificate of the authority.
    struct Issue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Issues a client certificate of the node's authority, or renews the server's.")

        @OptionGroup var options: ConfigurationOptions

        @Option(help: "admin, viewer, or server.")
        var role: String

        @Option(help: "The client's name (CN), or another name of the server; may be given several times.")
        var name: [String] = []

        @Option(help: "Days for which the certificate is valid.")
        var days = 365

        @Flag(help: "Replaces what is there.")
        var force = false

        func run() throws {
            let configuration = try options.load().configuration
            let directory = CertificateDirectory(path: configuration.certificateDirectory)
            switch role {
            case "server":
                let names = try SubjectNames(additional: name)
                try explainingForce { try directory.issueServer(names: names, days: days, force: force) }
            case "admin", "viewer":
                guard let role = Role(rawValue: role) else { throw ValidationError("unknown role") }
                try explainingForce {
                    try directory.issueClient(
                        role: role, commonName: name.first ?? "\(role.rawValue)-client", days: days, force: force)
                }
            default: throw ValidationError("--role must be admin, viewer or server")
            }
            print("Certificate written to \(directory.path)")
        }
    }
}

/// Runs `body`; a file that is already there is an error that names the way to replace it.
private func explainingForce(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch SecurityError.exists(let path) {
        throw Existing(path: path)
    }
}

private struct Existing: Error, CustomStringConvertible {
    let path: String

    var description: String { "file exists: \(path); --force replaces it" }
}
