import JobletSecurity
import Testing

@testable import Server

@Suite struct ConfigurationOriginalTests {
    @Test func `the original's template loads, with one warning for each key that has no effect`() throws {
        let loaded = try loadConfiguration(originalTemplate)
        #expect(loaded.format == .original)
        let (useless, risky) = (loaded.warnings.dropLast(2), loaded.warnings.suffix(2))
        #expect(useless.map(\.keyPath) == originalTemplateWarnings)
        #expect(useless.allSatisfy { $0.message.hasPrefix("has no effect here: ") && $0.line != nil })
        #expect(
            risky.map(\.message) == [
                "/etc/ssl shows the keys in /etc/ssl/private to every job",
                "/etc/pki shows the keys in /etc/pki/tls/private to every job",
            ])
        let mode = try #require(loaded.warnings.first)
        #expect(mode.description.hasSuffix(":6:3: server.mode: has no effect here: the daemon has one mode"))
    }

    @Test func `what means the same is taken over from the template`() throws {
        let configuration = try loadConfiguration(originalTemplate).configuration
        var expected = Configuration.defaults
        expected.server.nodeID = "5f8a1f34-9a4e-4a0f-8e57-3f1b2a7d9c10"
        expected.security = configuration.security
        expected.joblet.defaultCPULimit = 0
        expected.joblet.defaultMemoryLimit = 0
        expected.joblet.maxConcurrentJobs = 0
        expected.joblet.cleanupTimeout = .milliseconds(250)
        expected.cgroup.baseDirectory = "/sys/fs/cgroup/joblet.slice/joblet.service"
        expected.filesystem.allowedMounts = [
            "/usr/bin", "/bin", "/usr/sbin", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/resolv.conf",
            "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
            "/usr/share/ca-certificates",
        ]
        expected.grpc.keepAliveTime = .seconds(10)
        expected.grpc.keepAliveTimeout = .seconds(3)
        expected.storage.mode = .workers
        expected.storage.logs.directory = "/var/joblet/logs"
        expected.storage.logs.retention.maxAge = .hours(7 * 24)
        expected.storage.metrics.directory = "/opt/joblet/metrics"
        expected.storage.metrics.retention.maxAge = .hours(30 * 24)
        expected.storage.workers.persistSocket = "/opt/joblet/run/persist-ipc.sock"
        expected.storage.workers.stateSocket = "/opt/joblet/run/state-ipc.sock"
        expected.storage.workers.maxMessageBytes = 128 << 20
        expected.storage.query.socket = "/opt/joblet/run/persist-grpc.sock"
        #expect(configuration == expected)
        #expect(configuration.security.embedded?.key.text.contains("MIIE") == true)
    }

    @Test func `the grace period is cgroup.cleanupTimeout, else joblet.cleanupTimeout`() throws {
        let both = try loadConfiguration(
            "{joblet: {cleanupTimeout: 7s}, cgroup: {cleanupTimeout: 3s}, server: {mode: server}}")
        #expect(both.configuration.joblet.cleanupTimeout == .seconds(3))
        #expect(both.warnings.map(\.keyPath) == ["joblet.cleanupTimeout", "server.mode"])
        let one = try loadConfiguration("{joblet: {cleanupTimeout: 7s}, server: {mode: server}}")
        #expect(one.configuration.joblet.cleanupTimeout == .seconds(7))
        #expect(one.warnings.map(\.keyPath) == ["server.mode"])
        let zero = try loadConfiguration("{cgroup: {cleanupTimeout: 0s}}")
        #expect(zero.configuration.joblet.cleanupTimeout == .milliseconds(100))
        let empty = try loadConfiguration(
            "{joblet: {cleanupTimeout: 7s}, cgroup: {cleanupTimeout: }, server: {mode: server}}")
        #expect(empty.configuration.joblet.cleanupTimeout == .seconds(7))
    }

    @Test func `the API reference's example loads`() throws {
        let loaded = try loadConfiguration(
            """
            joblet:
              defaultCpuLimit: 100 # Default CPU percentage
              defaultMemoryLimit: 512 # Default memory in MB
              defaultIoLimit: 0 # Default I/O limit (0=unlimited)
              maxConcurrentJobs: 100 # Maximum concurrent jobs
              jobTimeout: "1h" # Maximum job runtime
              cleanupTimeout: "5s" # Resource cleanup timeout
            grpc:
              maxRecvMsgSize: 524288 # 512KB max receive message
              maxSendMsgSize: 4194304 # 4MB max send message
              keepAliveTime: "30s" # Connection keep-alive
            """)
        var expected = Configuration.defaults
        expected.joblet.jobTimeout = .hours(1)
        expected.grpc.maxReceiveMessageBytes = 524288
        #expect(loaded.configuration == expected)
        #expect(loaded.warnings.map(\.keyPath) == ["joblet.defaultIoLimit", "grpc.maxSendMsgSize"])
    }

    @Test func `the architecture's example loads`() throws {
        let loaded = try loadConfiguration(
            """
            server:
              port: 50051
            joblet:
              maxConcurrentJobs: 100
            persist:
              server:
                grpc_socket: "/opt/joblet/run/persist-grpc.sock"
              ipc:
                socket: "/opt/joblet/run/persist-ipc.sock"
            """)
        var expected = Configuration.defaults
        expected.storage.query.socket = "/opt/joblet/run/persist-grpc.sock"
        expected.storage.workers.persistSocket = "/opt/joblet/run/persist-ipc.sock"
        #expect(loaded.configuration == expected)
        #expect(loaded.warnings.isEmpty)
    }

    @Test func `a key without a value means its default, and a key that nobody knows is warned of`() throws {
        let loaded = try loadConfiguration(
            """
            ipc: yes
            server:
              port:
              prot: 6000
            persist:
              storage:
                surprise: {a: 1}
            """)
        #expect(loaded.format == .original)
        #expect(loaded.configuration == .defaults)
        #expect(
            loaded.warnings.map { "\($0.keyPath): \($0.message)" } == [
                "ipc: unknown key, has no effect",
                "server.prot: unknown key, has no effect; did you mean server.port?",
                "persist.storage.surprise: unknown key, has no effect",
            ])
    }

    @Test func `a bad value of a key that is taken over is refused`() throws {
        let problems = try configurationProblems("{server: {port: 0}, gpu: {enabled: true}}")
        #expect(problems.first == "1:17: server.port: expected a whole number from 1 to 65535, not \"0\"")
        #expect(problems.last == "1:27: gpu.enabled: has no effect here: GPUs are not available in this version")
        #expect(
            try configurationProblems("{persist: {storage: {local: {logs: {directory: logs}}}}}") == [
                "1:48: persist.storage.local.logs.directory: expected an absolute path, or \"\" for the default, "
                    + "not \"logs\""
            ])
    }

    @Test func `in a file with a key of Joblet's own, a key of the original is refused`() throws {
        #expect(
            try configurationProblems(
                """
                outbox:
                  onFull: drop
                cgroup:
                  cleanupTimeout: 1s
                gpu:
                  enabled: false
                network:
                  networks: {bridge: {cidr: 10.0.0.0/8}}
                """) == [
                    "4:3: cgroup.cleanupTimeout: not a key of this format; it is joblet.cleanupTimeout here",
                    "6:3: gpu.enabled: not a key of this format: GPUs are not available in this version; remove it",
                    "8:23: network.networks.bridge.cidr: not a key of this format: networks other than none and host "
                        + "are not available in this version; remove it",
                ])
    }

    @Test func `the API reference's future form means S3 in a worker`() throws {
        let loaded = try loadConfiguration(
            """
            persist:
              storage:
                type: "cloud" # "local" or "cloud"
                cloud:
                  provider: "aws"
                  s3:
                    bucket: "joblet-logs"
                    region: "us-west-2"
                  cloudwatch:
                    log_group: "/joblet/jobs"
                retention:
                  logs_days: 30 # Keep logs for 30 days
                  metrics_days: 45
                  cleanup_interval: "12h"
            state:
              backend: dynamodb
              storage:
                dynamodb: {region: eu-west-1, table_name: jobs, ttl_days: 60}
            """)
        var expected = Configuration.defaults
        expected.storage.mode = .workers
        expected.storage.logs.backend = .s3
        expected.storage.logs.s3.bucket = "joblet-logs"
        expected.storage.logs.s3.region = "us-west-2"
        expected.storage.metrics.backend = .s3
        expected.storage.logs.retention.cleanupInterval = .hours(12)
        expected.storage.metrics.retention.maxAge = .hours(45 * 24)
        expected.storage.metrics.retention.cleanupInterval = .hours(12)
        expected.storage.state.backend = .dynamodb
        expected.storage.state.dynamoDB.region = "eu-west-1"
        expected.storage.state.dynamoDB.table = "jobs"
        expected.storage.state.dynamoDB.timeToLive = .hours(60 * 24)
        #expect(loaded.configuration == expected)
        #expect(loaded.configuration.metricBucket == expected.storage.logs.s3)
        #expect(loaded.warnings.map(\.keyPath) == ["persist.storage.cloud.cloudwatch.log_group"])
    }

    @Test(arguments: ["ttl_enabled: false, ttl_days: 60", "ttl_days: 60, ttl_enabled: false"])
    func `what switches another key off does so wherever it stands`(_ keys: String) throws {
        let loaded = try loadConfiguration(
            "{state: {backend: dynamodb, storage: {dynamodb: {\(keys)}}}, ipc: {enabled: false}}")
        #expect(loaded.configuration.storage.state.dynamoDB.timeToLive == .zero)
        // A backend that only the worker has goes before what is said of the connection to it.
        #expect(loaded.configuration.storage.mode == .workers)
    }

    @Test(arguments: [
        ("{ipc: {enabled: maybe}}", "ipc.enabled: expected true or false, not \"maybe\""),
        ("{state: {backend: mongo}}", "state.backend: expected one of memory, dynamodb, redis, not \"mongo\""),
        (
            "{persist: {storage: {type: tape}}}",
            "persist.storage.type: expected one of local, s3, cloud, cloudwatch, not \"tape\""
        ),
        (
            "{persist: {storage: {type: s3}}}",
            "storage.logs.s3.bucket: storage.logs.backend is s3: which bucket?"
        ),
        (
            "{persist: {storage: {cloud: {provider: gcp}}}}",
            "persist.storage.cloud.provider: expected aws, the one provider, not \"gcp\""
        ),
        (
            "{persist: {storage: {retention: {logs_days: -1}}}}",
            "persist.storage.retention.logs_days: expected a whole number of days, 0 to 36500, not \"-1\""
        ),
        ("{ipc: {enabled: [true]}}", "ipc.enabled: expected a single value, not a list"),
        (
            "{persist: {server: {grpc_address: \"0.0.0.0:50052\"}}, ipc: {enabled: true}}",
            "storage.query.address: 0.0.0.0:50052 is not this host's alone (127.0.0.1, ::1): set storage.query.tls"
        ),
    ])
    func `what the original's storage keys cannot mean is refused`(yaml: String, problem: String) throws {
        #expect(try configurationProblems(yaml).contains { $0.hasSuffix(problem) })
    }

    @Test func `no key has two fates, and what is taken over exists`() {
        let ignored = OriginalFormat.ignored.map(\.path)
        let taken = Array(OriginalFormat.same) + OriginalFormat.renamed.keys + OriginalFormat.conversions.keys
        #expect(Set(ignored + taken).count == ignored.count + taken.count)
        let keys = Set(Configuration.keys.map(\.path))
        #expect(OriginalFormat.same.isSubset(of: keys))
        #expect(keys.isSuperset(of: OriginalFormat.renamed.values))
    }

    @Test(arguments: OriginalFormat.ignored.map(\.path))
    func `a key of the original that has no effect is warned of by its name`(pattern: String) throws {
        let path = pattern.replacing("*", with: "name")
        let yaml = path.split(separator: ".").reversed().reduce("[1]") { "{\($1): \($0)}" }
        // Of the keys that both formats have, only the company of another one tells which format it is.
        let company = "gpu: {enabled: true}"
        let loaded = try loadConfiguration(path.hasPrefix("gpu.") ? yaml : "{\(company), \(yaml.dropFirst())")
        #expect(loaded.format == .original)
        #expect(loaded.warnings.last?.keyPath == path)
        #expect(loaded.warnings.count == (path.hasPrefix("gpu.") ? 1 : 2))
        #expect(loaded.configuration == .defaults)
    }
}
