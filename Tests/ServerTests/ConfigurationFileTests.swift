import Foundation
import Testing

@testable import Server

@Suite struct ConfigurationFileTests {
    private static let deep = String(repeating: "[", count: 100_000)
    private static let wide = "a: " + String(repeating: "x", count: 1 << 20)
    /// Each line holds ten aliases of the line before; the last is used as a key, whose comparison follows them all.
    private static let bomb =
        "a0: &a0 [x]\n"
        + (1...9).map { "a\($0): &a\($0) [\(Array(repeating: "*a\($0 - 1)", count: 10).joined(separator: ", "))]\n" }
        .joined() + "? *a9\n: 1\n? *a9\n: 2\n"

    @Test(
        arguments: [
            ("", "the file is empty"), (" \n\n", "the file is empty"),
            ("# nothing but a comment\n", "the file is empty"),
            ("---\n", "the file is empty"), ("null", "the file is empty"),
            ("- a\n- b\n", "1:1: expected a mapping (key: value) at the top of the file, not a list"),
            ("just a sentence", "expected a mapping (key: value) at the top of the file, not \"just a sentence\""),
            ("a: b: c", "1:5: not YAML: mapping values are not allowed in this context"),
            ("server:\n\tport: 1\n", "2:1: not YAML: a tab in the indentation; only spaces are allowed there"),
            ("server: {port: 1", "not YAML: while parsing a flow mapping (line 1)"),
            ("a: \"x\n", "not YAML: while scanning a quoted scalar (line 1)"),
            ("a: 1\nb: \u{1}\n", "2:4: not YAML: control characters are not allowed"),
            ("a: \u{0}\n", "not YAML: control characters are not allowed"),
            ("tmp:\n  size: 1MB\n  size: 2MB\n", "given more than once in one mapping: \"size\""),
            ("server: {}\nserver: {}\n", "given more than once in one mapping: \"server\""),
            ("a: 1\n---\nb: 2\n", "not YAML: expected a single document"),
            ("a: *b\n", "1:4: not YAML: found undefined alias"), ("a: &b [*b]\n", "not YAML: found undefined alias"),
            (bomb, "more than 32 YAML aliases (*name)"),
            (bomb.replacing(", *", with: ",\u{2028}*-"), "more than 32 YAML aliases (*name)"),
            (deep, "not YAML: while parsing"),
            (wide, "the file is larger than 1MiB"),
        ])
    func `what is no configuration file is refused`(yaml: String, message: String) throws {
        let problems = try configurationProblems(yaml)
        #expect(problems.count == 1)
        #expect(problems.first?.contains(message) == true, "\(problems.first?.prefix(200) ?? "")")
    }

    @Test func `bytes that are not UTF-8 are refused`() throws {
        let problems = try configurationProblems(
            bytes: Array("server: {address: ".utf8) + [0xFF, 0xFE] + Array("}".utf8))
        #expect(problems == [" not YAML: the file is not UTF-8 text"])
    }

    @Test func `a byte order mark and Windows line ends do not matter`() throws {
        #expect(try loadConfiguration("\u{FEFF}server:\r\n  port: 6000\r\n").configuration.server.port == 6000)
    }

    @Test func `a key text of many lines is told on one line, and cut`() throws {
        let text = String(repeating: "line\\n\\e[31m", count: 50)
        let problems = try configurationProblems("logging: {level: \"\(text)\"}")
        #expect(problems.count == 1)
        #expect(problems.allSatisfy { $0.utf8.count < 300 && !$0.contains("\n") && !$0.contains("\u{1B}") })
    }

    @Test func `a file that is named must exist`() throws {
        try ConfigurationDirectory.with { directory in
            let missing = directory.path + "/none.yml"
            for (path, environment) in [(missing, [:]), (nil, ["JOBLET_CONFIG_PATH": missing])] as [(String?, _)] {
                let error = #expect(throws: Configuration.LoadError.self) {
                    try Configuration.load(path: path, environment: environment, searchPath: [], cores: 4)
                }
                #expect(error?.description == "\(missing): no such file")
            }
        }
    }

    @Test func `a directory and an endless file are refused`() {
        for (path, message) in [
            ("/tmp", "cannot be read: is a directory"), ("/dev/zero", "the file is larger than 1MiB"),
        ] {
            let error = #expect(throws: Configuration.LoadError.self) {
                try Configuration.load(path: path, environment: [:], searchPath: [], cores: 4)
            }
            #expect(error?.description == "\(path): \(message)")
        }
    }

    @Test func `without any file the defaults apply`() throws {
        let loaded = try Configuration.load(
            path: nil, environment: ["JOBLET_CONFIG_PATH": ""], searchPath: ["/nonexistent/joblet-config.yml"], cores: 4
        )
        #expect(loaded.configuration == .defaults)
        #expect(loaded.file == nil)
        #expect(loaded.warnings == [])
    }

    @Test func `the option comes before the variable, the variable before the search path, the first of which counts`()
        throws
    {
        try ConfigurationDirectory.with { directory in
            let files = try (1...4).map { try directory.write("server: {port: \($0)}".utf8, as: "\($0).yml") }
            func port(_ path: String?, _ variable: String?) throws -> Int {
                try Configuration.load(
                    path: path, environment: variable.map { ["JOBLET_CONFIG_PATH": $0] } ?? [:],
                    searchPath: [directory.path + "/none.yml", files[2], files[3]], cores: 4
                ).configuration.server.port
            }
            #expect(try port(files[0], files[1]) == 1)
            #expect(try port(nil, files[1]) == 2)
            #expect(try port(nil, nil) == 3)
        }
    }

    @Test func `the installed places are searched in their order`() {
        #expect(
            Configuration.searchPath == [
                "/opt/joblet/config/joblet-config.yml", "config/joblet-config.yml", "joblet-config.yml",
                "/etc/joblet/joblet-config.yml", "/opt/joblet/joblet-config.yml",
            ])
    }

    @Test func `the environment wins over the file`() throws {
        let environment = [
            "JOBLET_SERVER_ADDRESS": "127.0.0.1", "JOBLET_SERVER_PORT": "6001", "JOBLET_NODE_ID": "n1",
            "JOBLET_LOG_LEVEL": "warn", "JOBLET_LOG_FORMAT": "json", "JOBLET_MAX_JOBS": "9",
        ]
        let yaml = "{server: {address: \"::\", port: 1, nodeId: n0}, logging: {level: ERROR}}"
        var expected = Configuration.defaults
        expected.server.address = "127.0.0.1"
        expected.server.port = 6001
        expected.server.nodeID = "n1"
        expected.logging.level = .warn
        expected.logging.format = .json
        expected.joblet.maxConcurrentJobs = 9
        #expect(try loadConfiguration(yaml, environment: environment).configuration == expected)
        #expect(Set(environment.keys) == Set(Configuration.environmentKeys.map(\.variable)))
    }

    @Test func `an empty variable counts as not set`() throws {
        #expect(try loadConfiguration("tmp:", environment: ["JOBLET_SERVER_PORT": ""]).configuration == .defaults)
    }

    @Test func `a bad variable is refused by its name, beside the problems of the file`() throws {
        let problems = try configurationProblems("{tmp: {size: x}}", environment: ["JOBLET_SERVER_PORT": "many"])
        #expect(problems.count == 2)
        #expect(problems.first?.contains("tmp.size: expected a size") == true)
        #expect(
            problems.last
                == "JOBLET_SERVER_PORT: server.port: expected a whole number from 1 to 65535, not \"many\"")
    }
}
