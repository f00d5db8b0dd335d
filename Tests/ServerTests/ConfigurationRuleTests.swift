import JobletSecurity
import Testing

@testable import Server

@Suite struct ConfigurationRuleTests {
    private static let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    private static let key = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n"

    private static func security(_ parts: [String: String]) -> String {
        "security:\n"
            + parts.sorted { $0.key < $1.key }.map { name, text in
                "  \(name): |\n" + text.split(separator: "\n").map { "    \($0)\n" }.joined()
            }.joined()
    }

    private static let complete = security(["serverCert": certificate, "serverKey": key, "caCert": certificate])

    @Test func `certificates and key can stand in the file`() throws {
        let security = try loadConfiguration(Self.complete).configuration.security
        let embedded = try #require(security.embedded)
        #expect(embedded.certificate == Self.certificate)
        #expect(embedded.key.text == Self.key)
        #expect(embedded.authority == Self.certificate)
    }

    @Test func `a private key is never printed`() throws {
        let configuration = try loadConfiguration(Self.complete).configuration
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in [dumped, "\(configuration)", String(reflecting: configuration), "\(configuration.settings)"] {
            #expect(!text.contains("c2VjcmV0"))
            #expect(text.contains("<redacted>") || text == dumped)
        }
    }

    @Test func `a private key that others can read is warned of`() throws {
        #expect(try loadConfiguration(Self.complete, mode: 0o600).warnings == [])
        let warnings = try loadConfiguration(Self.complete, mode: 0o640).warnings
        #expect(warnings.map(\.keyPath) == ["security.serverKey"])
        #expect(warnings.first?.message.contains("(mode 0640): chmod 600") == true)
        #expect(try loadConfiguration("tmp:", mode: 0o644).warnings == [])
    }

    @Test func `what is not PEM text is refused without repeating it`() throws {
        let problems = try configurationProblems("security: {serverKey: hunter2, caCert: \(5)}")
        #expect(problems.count == 2)
        #expect(problems.allSatisfy { $0.contains("as PEM text") && !$0.contains("hunter2") })
    }

    @Test(
        arguments: [
            (
                security(["serverCert": certificate]),
                "security: serverCert, serverKey and caCert belong together: give all three, or none and use certDir"
            ),
            (complete + "  certDir: /certs\n", "security.certDir: the certificates are in the file already"),
            ("{joblet: {defaultCpuLimit: 401}}", "expected 0 to 400, 100 for each core of this host, not 401"),
            ("{joblet: {maxConcurrentJobs: 4095}}", "4095 is more than sandbox.idRange.count (4094)"),
            ("{sandbox: {idRange: {first: 4294000000, count: 200}}}", "above the largest user id"),
            ("{outbox: {segmentBytes: 2GiB}}", "outbox.segmentBytes: 2GiB is more than outbox.maxJobBytes (1GiB)"),
            ("{outbox: {maxNodeBytes: 1GiB}}", "outbox.maxNodeBytes: 1GiB is less than"),
            ("{dataDir: /}", "dataDir: must not be /"),
            ("{runDir: /\(String(repeating: "r", count: 80))}", "runDir: longer than 80 bytes"),
            (
                "{storage: {logs: {directory: /opt/joblet/outbox/logs}}}",
                "and the outbox (/opt/joblet/outbox) must be apart"
            ),
            ("{outbox: {directory: /opt/joblet}}", "must be apart"),
            ("{filesystem: {allowedMounts: [/]}}", "filesystem.allowedMounts: / would show /opt/joblet to every job"),
            ("{filesystem: {allowedMounts: [/opt]}}", "/opt would show /opt/joblet to every job"),
            ("{filesystem: {allowedMounts: [/opt/joblet/jobs]}}", "would show /opt/joblet to every job"),
            (
                "{outbox: {directory: /srv/o}, filesystem: {allowedMounts: [/srv]}}",
                "filesystem.allowedMounts: /srv would show /srv/o to every job"
            ),
            (
                "{storage: {state: {path: /srv/jobs.db}}, filesystem: {allowedMounts: [/srv]}}",
                "filesystem.allowedMounts: /srv would show /srv/jobs.db to every job"
            ),
            ("{filesystem: {allowedMounts: [/etc]}}", "/etc would show /etc/shadow to every job"),
            ("{filesystem: {allowedMounts: [/proc/sys]}}", "/proc/sys cannot be the host's: a job has its own /proc"),
            (
                "{dataDir: /usr/share/joblet}",
                "filesystem.allowedMounts: /usr would show /usr/share/joblet to every job"
            ),
            ("{filesystem: {workspaceDir: /usr/work}}", "/usr/work is taken: the job has /usr there"),
            ("{filesystem: {workspaceDir: /etc}}", "/etc is taken: the job has"),
            ("{filesystem: {workspaceDir: /}}", "filesystem.workspaceDir: / is taken"),
        ])
    func `values that do not fit together are refused`(yaml: String, message: String) throws {
        let problems = try configurationProblems(yaml)
        #expect(!problems.isEmpty)
        #expect(problems.contains { $0.contains(message) }, "\(problems)")
    }

    @Test func `a rule that the environment breaks is told with the variable`() throws {
        let problems = try configurationProblems("tmp:", environment: ["JOBLET_MAX_JOBS": "5000"])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("JOBLET_MAX_JOBS: joblet.maxConcurrentJobs: 5000 is more than") == true)
    }

    @Test func `directories that are not given follow the data directory`() throws {
        let configuration = try loadConfiguration("{dataDir: /data}").configuration
        #expect(configuration.certificateDirectory == "/data/certs")
        #expect(configuration.logDirectory == "/data/logs")
        #expect(configuration.metricDirectory == "/data/metrics")
        #expect(configuration.stateDatabase == "/data/state/jobs.db")
        #expect(configuration.outboxDirectory == "/data/outbox")
    }

    @Test func `--data-dir moves the data, and the run directory unless it was chosen`() throws {
        var configuration = Configuration.defaults
        try configuration.apply(.init(dataDirectory: "demo/data"), workingDirectory: "/home/user")
        #expect(configuration.dataDirectory == "/home/user/demo/data")
        #expect(configuration.runDirectory == "/home/user/demo/data/run")

        configuration = try loadConfiguration("{runDir: /run/mine}").configuration
        try configuration.apply(.init(dataDirectory: "/data/"), workingDirectory: "/")
        #expect(configuration.dataDirectory == "/data")
        #expect(configuration.runDirectory == "/run/mine")
    }

    @Test(
        arguments: [
            ("127.0.0.1:6000", "127.0.0.1", 6000), (":6000", "0.0.0.0", 6000), ("localhost", "localhost", 50051),
            ("[::1]:0", "::1", 0), ("::1", "::1", 50051), ("[::1]", "::1", 50051),
            ("node.example.com:1", "node.example.com", 1),
        ])
    func `--listen sets address and port`(option: String, address: String, port: Int) throws {
        var configuration = Configuration.defaults
        try configuration.apply(.init(listen: option), workingDirectory: "/")
        #expect(configuration.server.address == address)
        #expect(configuration.server.port == port)
        #expect(configuration.runDirectory == "/run/joblet")
    }

    @Test(
        arguments: [
            "", ":", "a:", "a:b", "a:65536", "a:-1", "a:1:2", "[::1", "[::1]x", "[::1]:", "[localhost]:1", "a b:1",
            "1.2.3:4",
            "tcp://a:1", "a:01",
        ])
    func `--listen refuses what is no address, and leaves everything as it was`(option: String) {
        var configuration = Configuration.defaults
        let error = #expect(throws: Configuration.LoadError.self) {
            try configuration.apply(.init(dataDirectory: "/data", listen: option), workingDirectory: "/")
        }
        #expect(error?.description.hasPrefix("--listen: server: expected host:port, ") == true)
        #expect(configuration == .defaults)
    }

    @Test(
        arguments: [
            ("", "--data-dir: dataDir: expected a path without \"..\", not \"\""),
            ("../data", "--data-dir: dataDir: expected a path without \"..\", not \"../data\""),
            ("/", "--data-dir: dataDir: must not be /"),
            ("/usr/lib/joblet", "/usr would show /usr/lib/joblet to every job"),
            ("/" + String(repeating: "d", count: 80), "--data-dir: runDir: longer than 80 bytes"),
        ])
    func `--data-dir refuses a directory that cannot be one`(option: String, message: String) {
        var configuration = Configuration.defaults
        let error = #expect(throws: Configuration.LoadError.self) {
            try configuration.apply(.init(dataDirectory: option), workingDirectory: "/home")
        }
        #expect(error?.description.contains(message) == true)
        #expect(configuration == .defaults)
    }
}
