import Foundation
import Testing
import YAML

@testable import Server

@Suite struct ConfigurationShippedTests {
    private static let package = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: package.appending(path: path), encoding: .utf8)
    }

    @Test func `the shipped file loads without a word and equals the defaults`() throws {
        let loaded = try loadConfiguration(Self.text("config/joblet-config.yml"))
        #expect(loaded.format == .joblet)
        #expect(loaded.warnings == [])
        #expect(loaded.configuration == .defaults)
    }

    @Test func `the shipped file has every key, in the order of the listing`() throws {
        let bytes = try Array(Self.text("config/joblet-config.yml").utf8)
        var reader = ConfigurationReader(source: "config/joblet-config.yml")
        _ = reader.read(try ConfigurationDocument.parse(bytes, source: "config/joblet-config.yml"))
        let found = reader.positions.sorted { ($0.value.line, $0.value.column) < ($1.value.line, $1.value.column) }
        #expect(found.map(\.key) == Configuration.keys.map(\.path))
    }

    @Test func `the shipped file says the default of every key in the comment above it`() throws {
        var comment = ""
        var documented = 0
        for line in try Self.text("config/joblet-config.yml").split(separator: "\n", omittingEmptySubsequences: false) {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("#") {
                comment += " " + line.dropFirst().trimmingCharacters(in: .whitespaces)
            } else if let match = line.wholeMatch(of: #/[A-Za-z]+: (.+)/#) {
                let value = String(match.1)
                let words = value.trimmingCharacters(in: CharacterSet(charactersIn: "\""))
                #expect(
                    comment.hasSuffix("Default: \(value).") || comment.hasSuffix("Default: \(words).")
                        || line.hasPrefix("version") || line.hasPrefix("serverKey") || line.hasPrefix("caCert"),
                    "\(line): \(comment)")
                documented += 1
                if !line.hasPrefix("serverCert") && !line.hasPrefix("serverKey") { comment = "" }
            } else if line.hasSuffix(":") && line != "allowedMounts:" {
                comment = ""
            }
        }
        #expect(documented == Configuration.keys.count - 1)
    }

    @Test func `the documentation has one row for every key, with its default`() throws {
        let document = try Self.text("docs/configuration.md")
        let section = try #require(document.firstMatch(of: #/\n## Every key\n(?s:(.*?))\n## /#)?.1)
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(rows.map { $0.first } == Configuration.keys.map { "`\($0.path)`" })
        for (row, setting) in zip(rows, Configuration.defaults.settings) {
            let value = setting.value.isEmpty ? "\"\"" : setting.value
            #expect(row.count == 5, "\(setting.key)")
            #expect(row[3] == (value.hasPrefix("[") ? "see below" : "`\(value)`"), "\(setting.key)")
        }
    }

    @Test func `the documentation names every variable, place and key of the original`() throws {
        let document = try Self.text("docs/configuration.md")
        let names =
            Configuration.environmentKeys.map(\.variable) + Configuration.searchPath
            + Configuration.defaults.filesystem.allowedMounts + OriginalFormat.renamed.keys
            + OriginalFormat.conversions.keys + OriginalFormat.ignored.map(\.path)
        #expect(names.filter { !document.contains("`\($0)`") } == [])
    }
}
