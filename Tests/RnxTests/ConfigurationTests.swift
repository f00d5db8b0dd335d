import ArgumentParser
import JobletSecurity
import Testing

@testable import rnx

@Suite struct ConfigurationTests {
    private static func file(_ address: String, node: String = "default") -> String {
        """
        version: "3.0"
        nodes:
          \(node):
            address: "\(address)"
            nodeId: "id-1"
            cert: |
              CERT
            key: |
              KEY
            ca: |
              CA

        """
    }

    private func options(_ line: String = "") throws -> ConnectionOptions {
        try ConnectionOptions.parse(words(line))
    }

    private func surroundings(_ folder: String, _ variables: [String: String] = [:]) -> Surroundings {
        let all = ["HOME": folder + "/home"].merging(variables) { $1 }
        return Surroundings(directory: folder + "/", root: folder + "/root") { all[$0] }
    }

    @Test func `Files are looked for in the documented order`() async throws {
        try await withFolder { folder in
            let places = [
                "root/opt/joblet/config/rnx-config.yml", "root/etc/joblet/rnx-config.yml",
                "home/.rnx/rnx-config.yml", "config/rnx-config.yml", "rnx-config.yml", "named.yml",
            ]
            let around = surroundings(folder, ["RNX_CONFIG": folder + "/named.yml"])
            #expect(throws: NodeFile.notFound) { try Target(try options(), around) }
            for (index, place) in places.enumerated() {
                try write(Self.file("host:\(index + 1)"), to: "\(folder)/\(place)")
                #expect(try Target(try options(), around).address.port == index + 1)
            }
            try write(Self.file("host:99"), to: folder + "/flag.yml")
            #expect(try Target(try options("--config \(folder)/flag.yml"), around).address.port == 99)
        }
    }

    @Test func `Flags come before the environment, the environment before the file`() async throws {
        try await withFolder { folder in
            try write(Self.file("file:1"), to: folder + "/rnx-config.yml")
            try write("E", to: folder + "/env.pem")
            try write("F", to: folder + "/flag.pem")

            let plain = try Target(try options(), surroundings(folder))
            #expect(plain.address.description == "file:1")
            #expect(plain.identity.certificate == "CERT\n")
            #expect(plain.identity.key.text == "KEY\n")
            #expect(plain.identity.authority == "CA\n")

            let variables = [
                "JOBLET_SERVER": "env:2", "JOBLET_CERT_PATH": folder + "/env.pem",
                "JOBLET_KEY_PATH": folder + "/env.pem", "JOBLET_CA_PATH": folder + "/env.pem",
            ]
            let environment = try Target(try options(), surroundings(folder, variables))
            #expect(environment.address.description == "env:2")
            #expect(environment.identity.certificate == "E")
            #expect(environment.identity.key.text == "E")
            #expect(environment.identity.authority == "E")

            let flags = "--server flag:3 --cert \(folder)/flag.pem --key \(folder)/flag.pem --ca \(folder)/flag.pem"
            let flagged = try Target(try options(flags), surroundings(folder, variables))
            #expect(flagged.address.description == "flag:3")
            #expect(flagged.identity.certificate == "F")

            let partly = try Target(try options("--server flag:3"), surroundings(folder))
            #expect(partly.address.description == "flag:3")
            #expect(partly.identity.certificate == "CERT\n")
        }
    }

    @Test func `Without a file the usual certificate files serve`() async throws {
        try await withFolder { folder in
            for name in ["client-cert", "client-key", "ca-cert"] {
                #expect(throws: NodeFile.notFound) { try Target(try options(), surroundings(folder)) }
                try write(name, to: "\(folder)/certs/\(name).pem")
            }
            let target = try Target(try options(), surroundings(folder))
            #expect(target.address.description == "localhost:50051")
            #expect(target.identity.certificate == "client-cert")
            #expect(target.identity.key.text == "client-key")
            #expect(target.identity.authority == "ca-cert")
        }
    }

    @Test func `A certificate file that is missing is named`() async throws {
        try await withFolder { folder in
            let path = folder + "/absent.pem"
            let line = "--server h:1 --cert \(path) --key \(path) --ca \(path)"
            #expect(throws: Failure(.certificate, "certificate file missing: \(path)")) {
                try Target(try options(line), surroundings(folder))
            }
        }
    }

    @Test func `Nodes are chosen by flag, then environment`() async throws {
        try await withFolder { folder in
            let both =
                Self.file("one:1")
                + Self.file("two:2", node: "two").split(separator: "\n").dropFirst(2)
                .joined(separator: "\n")
            try write(both, to: folder + "/rnx-config.yml")
            #expect(try Target(try options(), surroundings(folder)).address.host == "one")
            #expect(try Target(try options(), surroundings(folder, ["RNX_NODE": "two"])).address.host == "two")
            let chosen = try Target(try options("--node default"), surroundings(folder, ["RNX_NODE": "two"]))
            #expect(chosen.address.host == "one")
            #expect(throws: Failure(.local, "node 'x' not found in configuration")) {
                try Target(try options("--node x"), surroundings(folder))
            }
        }
    }

    @Test(
        "Files that cannot serve are refused in one line",
        arguments: [
            ("", "no nodes configured in F"),
            ("version: \"3.0\"\n", "no nodes configured in F"),
            ("nodes:\n", "no nodes configured in F"),
            ("nodes: {}\n", "no nodes configured in F"),
            ("nodes: [1]\n", "failed to parse client config F: nodes is not a mapping"),
            ("- 1\n", "failed to parse client config F: not a mapping with the key nodes"),
            ("just text", "failed to parse client config F: not a mapping with the key nodes"),
            ("nodes:\n  a: 1\n", "failed to parse client config F: a node is not a mapping"),
            ("nodes:\n  a:\n    address: [1]\n", "failed to parse client config F: address of node a is not a text"),
        ])
    func refused(_ text: String, _ message: String) {
        #expect(throws: Failure(.local, message)) { try NodeFile(text, path: "F") }
    }

    @Test(
        "What is not YAML is refused",
        arguments: ["nodes: [", "\t- x", "a: b: c", "\u{0}", "nodes: *missing", "{", "a: 'open"])
    func notYAML(_ text: String) throws {
        let failure = try #require(#expect(throws: Failure.self) { try NodeFile(text, path: "F") })
        #expect(failure.line.hasPrefix("Error: failed to parse client config F: "))
        #expect(failure.line.split(whereSeparator: \.isNewline).count == 1)
    }

    @Test func `Files that are missing, unreadable or no text are named`() async throws {
        try await withFolder { folder in
            #expect(throws: Failure(.local, "client configuration file not found: \(folder)/x")) {
                try NodeFile.find("\(folder)/x", surroundings(folder))
            }
            let failure = try #require(#expect(throws: Failure.self) { try NodeFile(path: folder) })
            #expect(failure.message.hasPrefix("failed to read client config file \(folder): "))
        }
    }

    @Test func `A node without certificates is refused by name`() async throws {
        try await withFolder { folder in
            try write("nodes:\n  default:\n    address: h:1\n", to: folder + "/rnx-config.yml")
            #expect(throws: Failure(.certificate, "client certificates are not configured for node default")) {
                try Target(try options(), surroundings(folder))
            }
        }
    }

    @Test(
        "Addresses are host and port",
        arguments: [
            ("host:1", "host", 1), ("host", "host", 50051), ("10.0.0.1:65535", "10.0.0.1", 65535),
            ("[::1]:7", "::1", 7), ("[::1]", "::1", 50051), ("::1", "::1", 50051),
        ])
    func address(_ text: String, _ host: String, _ port: Int) throws {
        let address = try ServerAddress(text)
        #expect(address.host == host)
        #expect(address.port == port)
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "", ":1", "host:", "host:0", "host:65536", "host:x", "host:-1", "host:+1", "[::1", "[::1]x", "a b:1",
        ])
    func noAddress(_ text: String) {
        #expect(throws: Failure.self) { try ServerAddress(text) }
    }

    @Test func `Nodes are listed without their keys`() throws {
        let file = try NodeFile(Self.file("h:1") + "  second:\n    address: h:2\n", path: "F")
        let list = NodeList(file.nodes, selected: "default")
        #expect(
            list.text == """
                * default
                    Address: h:1
                    Node ID: id-1
                    Cert: ***
                    Key:  ***
                    CA:   ***
                  second
                    Address: h:2
                    Cert: missing
                    Key:  missing
                    CA:   missing

                Use a node with: rnx --node <name> <command>

                """)
        #expect(
            list.json.compact
                == #"[{"name":"default","address":"h:1","nodeId":"id-1","status":"active","default":true},"#
                + #"{"name":"second","address":"h:2","status":"error","default":false}]"#)
    }
}
