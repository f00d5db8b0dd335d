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
            abstract: "Issues one more client certificate of the node's authority, or renews one.",
            discussion: """
                With --name a client gets files of its own: NAME-client-cert.pem, NAME-client-key.pem and \
                rnx-config-NAME.yml. Without it the certificate of the role is renewed, with its rnx configuration; \
                --force replaces what is there.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Option(help: "admin, viewer, or server.")
        var role: String

        @Option(help: "The client's name (CN), or another name of the server; may be given several times.")
        var name: [String] = []

        @Option(help: "Days for which the certificate is valid.")
        var days = 365

        @Option(help: "HOST:PORT that the client's rnx configuration names; localhost where it is not given.")
        var address: String?

        @Flag(help: "Replaces what is there.")
        var force = false

        func run() throws {
            let configuration = try options.load().configuration
            let directory = CertificateDirectory(path: configuration.certificateDirectory)
            switch role {
            case "server":
                let names = try SubjectNames(additional: name)
                _ = try explainingForce { try directory.issueServer(names: names, days: days, force: force) }
            case "admin", "viewer":
                guard let role = Role(rawValue: role) else { throw ValidationError("unknown role") }
                guard name.count < 2 else { throw ValidationError("a client has one --name") }
                let file = try explainingForce { try issue(role, in: directory, configuration) }
                print("rnx configuration: \(file)")
            default: throw ValidationError("--role must be admin, viewer or server")
            }
            print("Certificate written to \(directory.path)")
        }

        /// Writes a client's files; returns the path of its configuration.
        private func issue(
            _ role: Role, in directory: CertificateDirectory, _ configuration: Configuration
        ) throws -> String {
            let file: String
            let identity: TLSIdentity
            if let text = name.first {
                guard let name = ClientName(text) else {
                    throw ValidationError("--name: letters, digits and ._@-, and not the name of a role")
                }
                file = ClientConfiguration.fileName(of: name)
                identity = try directory.issueClient(role: role, name: name, days: days, force: force)
            } else {
                file = role == .admin ? ClientConfiguration.adminFileName : ClientConfiguration.viewerFileName
                identity = try directory.issueClient(role: role, days: days, force: force)
            }
            try ClientConfiguration(
                address: address ?? "localhost:\(configuration.server.port)", nodeID: configuration.server.nodeID,
                identity: identity
            ).write(to: "\(directory.path)/\(file)", force: force)
            return "\(directory.path)/\(file)"
        }
    }
}

/// Runs `body`; a file that is already there is an error that names the way to replace it.
private func explainingForce<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch SecurityError.exists(let path) {
        throw Existing(path: path)
    }
}

private struct Existing: Error, CustomStringConvertible {
    let path: String

    var description: String { "file exists: \(path); --force replaces it" }
}
