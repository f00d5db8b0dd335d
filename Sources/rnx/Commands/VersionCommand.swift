import ArgumentParser
import GRPCCore
import JobletAPI

/// `rnx version`.
struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show the version of rnx, and of the server if it can be reached.")

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let server = await serverVersion()
        if connection.json {
            try StandardOutput.write(ProgramVersion.json(server: server).pretty + "\n")
        } else {
            let line = server.map { "joblet \($0.printable)\n" } ?? ""
            try StandardOutput.write("rnx \(ProgramVersion.number)\n" + line)
        }
    }

    /// Nil without a configuration, without a connection, and for servers that do not say.
    private func serverVersion() async -> String? {
        do {
            let target = try Target(connection, .process)
            let version = try await Connection.open(target, deadline: .seconds(3)) { try await $0.serverVersion() }
            return version.isEmpty ? nil : version
        } catch {
            return nil
        }
    }
}

extension Connection {
    /// Asks as this project does, then as the published API does.
    func serverVersion() async throws -> String {
        let options = Self.answering(within: 3)
        do {
            return try await node.getNodeInfo(Joblet_Ext_GetNodeInfoRequest(), options: options).version
        } catch let error as RPCError where error.code == .unimplemented {
            return try await monitoring.getSystemStatus(Joblet_EmptyRequest(), options: options).serverVersion.version
        }
    }
}

enum ProgramVersion {
    static let number = "0.1.0"

    /// The published API that this program speaks.
    static let api = "v2.3.1"

    static func json(server: String?) -> JSON {
        let rnx = JSON.object([
            ("version", .string(number)), ("platform", .string(platform)), ("proto_tag", .string(api)),
        ])
        return .object([
            ("rnx", rnx), ("joblet", server.map { .object([("version", .string($0))]) } ?? .null),
        ])
    }

    private static var platform: String {
        #if arch(x86_64)
            "linux/amd64"
        #elseif arch(arm64)
            "linux/arm64"
        #else
            "linux"
        #endif
    }
}
