import DaemonSupport
import Foundation
import JobletSecurity
import TestSupport
import Testing

/// A user's shell in a folder of its own, where `rnx` is the built program.
struct Terminal {
    /// The user's working directory.
    let folder: TemporaryDirectory

    /// A shell without any configuration.
    init() throws {
        folder = try TemporaryDirectory(name: "joblet-user")
    }

    /// A shell with an rnx-config.yml for the running daemon, and the daemon's certificates in `certs`.
    init(_ daemon: DaemonProcess, as role: Role = .admin) throws {
        try self.init(daemon, identity: daemon.certificates.clientIdentity(role))
    }

    /// A shell whose rnx-config.yml holds that identity.
    init(_ daemon: DaemonProcess, identity: TLSIdentity) throws {
        try self.init()
        let file = try ClientConfiguration(
            address: "127.0.0.1:\(daemon.port)", nodeID: "node-1", identity: identity)
        try file.write(to: "\(folder.path)/rnx-config.yml")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/certs", withDestinationPath: daemon.certificates.path)
    }

    /// Writes a file into the working directory.
    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
    }

    /// Runs a command line in bash and waits for its end.
    func type(_ line: String, environment: [String: String] = [:]) async throws -> Printed {
        let errors = "\(folder.path)/.errors-\(UUID().uuidString)"
        let programs = URL(filePath: Products.path("rnx")).deletingLastPathComponent().path
        var variables = ["PATH": "\(programs):/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"]
        variables.merge(environment) { $1 }
        let result = try await runProgram(
            "/bin/bash", ["-c", "cd \"$0\" && exec 2>\"$1\" && eval \"$2\"", folder.path, errors, line],
            environment: variables)
        return Printed(
            status: result.status, output: result.output, errors: try String(contentsOfFile: errors, encoding: .utf8))
    }

    /// Starts a job with `rnx job run` and these words, and returns its id.
    func start(_ words: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> String {
        let printed = try await type("rnx job run \(words)")
        #expect(printed.status == 0, "\(printed)", sourceLocation: sourceLocation)
        return try #require(printed.id, "\(printed)", sourceLocation: sourceLocation)
    }
}

/// What a command line printed, and its exit code.
struct Printed: Sendable, CustomStringConvertible {
    /// The exit code, or the negative number of the signal.
    let status: Int32
    let output: String
    let errors: String

    /// Both streams with the ids of jobs and the times in them as placeholders.
    var shape: (output: String, errors: String) { (Printed.shape(output), Printed.shape(errors)) }

    /// The id in the line `ID: …`.
    var id: String? { output.firstMatch(of: /(?m)^ID: ([0-9a-f-]{36})$/).map { String($0.output.1) } }

    /// Standard output as a JSON object.
    var object: [String: Any] {
        get throws {
            try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any], "\(self)")
        }
    }

    var description: String { "exit code \(status)\n--- output\n\(output)\n--- errors\n\(errors)" }

    private static func shape(_ text: String) -> String {
        text.replacing(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/, with: "<id>")
            .replacing(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, with: "<time>")
    }
}

/// Expects that a command line printed exactly this, ids and times aside.
func expect(
    _ printed: Printed, output: String = "", errors: String = "", status: Int32 = 0,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(printed.shape.output == output, sourceLocation: sourceLocation)
    #expect(printed.shape.errors == errors, sourceLocation: sourceLocation)
    #expect(printed.status == status, sourceLocation: sourceLocation)
}
