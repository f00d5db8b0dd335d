import Foundation
import Testing

@testable import Server

/// A directory that exists while a test runs.
struct ConfigurationDirectory {
    let path: String

    /// Runs `body` with a fresh directory and removes it afterwards.
    static func with<Result>(_ body: (ConfigurationDirectory) throws -> Result) throws -> Result {
        let path = NSTemporaryDirectory() + "joblet-configuration-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: path) } }
        return try body(ConfigurationDirectory(path: path))
    }

    /// Writes a file and gives its path.
    func write(_ bytes: some Sequence<UInt8>, as name: String = "joblet-config.yml", mode: Int = 0o600) throws -> String
    {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(filePath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }
}

/// Loads a file with this content on a host with four cores.
func loadConfiguration(
    _ yaml: String, environment: [String: String] = [:], mode: Int = 0o600
) throws -> Configuration.Loaded {
    try loadConfiguration(bytes: yaml.utf8, environment: environment, mode: mode)
}

/// Loads a file with these bytes on a host with four cores.
func loadConfiguration(
    bytes: some Sequence<UInt8>, environment: [String: String] = [:], mode: Int = 0o600
) throws -> Configuration.Loaded {
    try ConfigurationDirectory.with { directory in
        let file = try directory.write(bytes, mode: mode)
        return try Configuration.load(path: file, environment: environment, searchPath: [], cores: 4)
    }
}

/// The problems for which a file with this content is refused, as `line:column: key: message`.
func configurationProblems(_ yaml: String, environment: [String: String] = [:]) throws -> [String] {
    try configurationProblems(bytes: yaml.utf8, environment: environment)
}

/// The problems for which a file with these bytes is refused, as `line:column: key: message`.
func configurationProblems(
    bytes: some Sequence<UInt8>, environment: [String: String] = [:]
) throws -> [String] {
    do {
        let loaded = try loadConfiguration(bytes: bytes, environment: environment)
        Issue.record("accepted: \(loaded.configuration)")
        return []
    } catch let error as Configuration.LoadError {
        return error.problems.map { problem in
            let text = problem.description
            guard problem.source.hasSuffix("/joblet-config.yml") else { return text }
            return String(text.dropFirst(problem.source.count + 1))
        }
    }
}
