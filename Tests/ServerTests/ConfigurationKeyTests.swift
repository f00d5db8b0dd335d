import Testing

@testable import Server

@Suite struct ConfigurationKeyTests {
    /// For every key a value that is not the default, and how it is shown.
    private static let samples: [String: (yaml: String, shown: String)] = [
        "server.address": ("\"::1\"", "::1"),
        "server.port": ("6000", "6000"),
        "server.nodeId": ("node-7", "node-7"),
        "security.certDir": ("/etc/joblet/certs", "/etc/joblet/certs"),
        "security.minTLSVersion": ("1.3", "1.3"),
        "joblet.defaultCpuLimit": ("250", "250"),
        "joblet.defaultMemoryLimit": ("0", "0"),
        "joblet.defaultPids": ("64", "64"),
        "joblet.maxConcurrentJobs": ("7", "7"),
        "joblet.jobTimeout": ("\"1h\"", "1h"),
        "joblet.cleanupTimeout": ("100ms", "100ms"),
        "joblet.onShutdown": ("stop", "stop"),
        "dataDir": ("/var/lib/joblet/", "/var/lib/joblet"),
        "runDir": ("/run/other", "/run/other"),
        "cgroup.baseDir": ("/sys/fs/cgroup/joblet.slice", "/sys/fs/cgroup/joblet.slice"),
        "filesystem.allowedMounts": ("[/usr, /bin/, /usr]", "[/usr, /bin]"),
        "filesystem.workspaceDir": ("/srv/work", "/srv/work"),
        "work.memoryMax": ("1GB", "1GiB"),
        "work.diskMax": ("0", "0"),
        "work.onDisk": ("true", "true"),
        "tmp.size": ("1048576", "1MiB"),
        "sandbox.idRange.first": ("1000000", "1000000"),
        "sandbox.idRange.count": ("100", "100"),
        "sandbox.userNamespace": ("false", "false"),
        "sandbox.allowHostNetwork": ("False", "false"),
        "network.defaultNetwork": ("host", "host"),
        "storage.logs.backend": ("memory", "memory"),
        "storage.logs.directory": ("/var/log/joblet", "/var/log/joblet"),
        "storage.metrics.backend": ("sqlite", "sqlite"),
        "storage.metrics.directory": ("/var/lib/metrics", "/var/lib/metrics"),
        "storage.state.backend": ("memory", "memory"),
        "storage.state.path": ("/var/lib/joblet/jobs.db", "/var/lib/joblet/jobs.db"),
        "storage.durability": ("power", "power"),
        "storage.logs.s3.bucket": ("my-bucket", "my-bucket"),
        "storage.logs.s3.prefix": ("a/b_c", "a/b_c"),
        "storage.logs.s3.region": ("eu-central-1", "eu-central-1"),
        "storage.logs.s3.endpoint": ("\"http://127.0.0.1:9000\"", "http://127.0.0.1:9000"),
        "storage.logs.s3.pathStyle": ("true", "true"),
        "storage.logs.s3.serverSideEncryption": ("aes256", "AES256"),
        "storage.logs.s3.createBucket": ("true", "true"),
        "storage.logs.s3.lifecycle": ("true", "true"),
        "storage.metrics.s3.bucket": ("my-bucket", "my-bucket"),
        "storage.metrics.s3.prefix": ("a/b_c", "a/b_c"),
        "storage.metrics.s3.region": ("eu-central-1", "eu-central-1"),
        "storage.metrics.s3.endpoint": ("\"http://127.0.0.1:9000\"", "http://127.0.0.1:9000"),
        "storage.metrics.s3.pathStyle": ("true", "true"),
        "storage.metrics.s3.serverSideEncryption": ("aes256", "AES256"),
        "storage.metrics.s3.createBucket": ("true", "true"),
        "storage.metrics.s3.lifecycle": ("true", "true"),
        "storage.logs.retention.maxAge": ("24h", "24h"),
        "storage.logs.retention.maxBytes": ("10GB", "10GiB"),
        "storage.logs.retention.maxJobBytes": ("1GB", "1GiB"),
        "storage.logs.retention.cleanupInterval": ("1h", "1h"),
        "storage.logs.retention.archiveDirectory": ("/var/archive", "/var/archive"),
        "storage.metrics.retention.maxAge": ("24h", "24h"),
        "storage.metrics.retention.maxBytes": ("10GB", "10GiB"),
        "storage.metrics.retention.maxJobBytes": ("1GB", "1GiB"),
        "storage.metrics.retention.cleanupInterval": ("1h", "1h"),
        "storage.metrics.retention.archiveDirectory": ("/var/archive", "/var/archive"),
        "storage.mode": ("workers", "workers"),
        "storage.startDegraded": ("true", "true"),
        "storage.maxShipAge": ("500ms", "500ms"),
        "storage.state.dynamodb.table": ("jobs", "jobs"),
        "storage.state.dynamodb.region": ("us-east-1", "us-east-1"),
        "storage.state.dynamodb.endpoint": ("\"https://db:8000\"", "https://db:8000"),
        "storage.state.dynamodb.createTable": ("true", "true"),
        "storage.state.dynamodb.ttl": ("0s", "0s"),
        "storage.state.retention.maxAge": ("48h", "48h"),
        "storage.state.retention.cleanupInterval": ("30m", "30m"),
        "storage.workers.persistSocket": ("/run/p.sock", "/run/p.sock"),
        "storage.workers.stateSocket": ("/run/s.sock", "/run/s.sock"),
        "storage.workers.maxMessageBytes": ("128MB", "128MiB"),
        "storage.query.socket": ("/run/q.sock", "/run/q.sock"),
        "storage.query.address": ("\"\"", ""),
        "storage.query.tls": ("true", "true"),
        "outbox.directory": ("/var/spool/joblet", "/var/spool/joblet"),
        "outbox.segmentBytes": ("1MiB", "1MiB"),
        "outbox.maxJobBytes": ("2GiB", "2GiB"),
        "outbox.maxNodeBytes": ("4GiB", "4GiB"),
        "outbox.reserveBytes": ("1MiB", "1MiB"),
        "outbox.onFull": ("drop", "drop"),
        "uploads.maxBytes": ("100MB", "100MiB"),
        "metrics.interval": ("1s", "1s"),
        "grpc.maxRecvMsgSize": ("524288", "512KiB"),
        "grpc.maxConcurrentStreams": ("5", "5"),
        "grpc.keepAliveTime": ("\"10s\"", "10s"),
        "grpc.keepAliveTimeout": ("3s", "3s"),
        "grpc.maxConnections": ("0", "0"),
        "grpc.maxConnectionIdle": ("0s", "0s"),
        "grpc.maxConnectionAge": ("30m", "30m"),
        "grpc.maxConnectionAgeGrace": ("1s", "1s"),
        "logging.level": ("debug", "DEBUG"),
        "logging.format": ("JSON", "json"),
    ]

    /// `a.b.c: value` as nested mappings.
    private static func nested(_ path: String, _ value: String) -> String {
        path.split(separator: ".").reversed().reduce(value) { "{\($1): \($0)}" }
    }

    @Test(arguments: samples.keys.sorted())
    func `every key sets its own value and no other`(path: String) throws {
        let sample = try #require(Self.samples[path])
        let configuration = try loadConfiguration(Self.nested(path, sample.yaml)).configuration
        let changed = zip(configuration.settings, Configuration.defaults.settings).filter { $0 != $1 }.map(\.0)
        #expect(changed == [Configuration.Setting(key: path, value: sample.shown)])
    }

    @Test func `only keys with one possible value, PEM texts and keys that need others have no sample`() {
        let without = Configuration.keys.map(\.path).filter { Self.samples[$0] == nil }
        #expect(
            without == [
                "version", "security.serverCert", "security.serverKey", "security.caCert", "storage.logs.s3.kmsKeyId",
                "storage.logs.retention.action", "storage.metrics.s3.kmsKeyId", "storage.metrics.retention.action",
            ])
    }

    @Test(
        arguments: [
            ("server.port", "0", "expected a whole number from 1 to 65535, not \"0\""),
            ("server.port", "65536", "expected a whole number from 1 to 65535, not \"65536\""),
            ("server.port", "\"50051\"", "expected a whole number from 1 to 65535, not \"50051\""),
            ("server.port", "0x1F", "expected a whole number from 1 to 65535, not \"0x1F\""),
            ("server.port", "1e3", "expected a whole number from 1 to 65535, not \"1e3\""),
            ("server.port", "-1", "expected a whole number from 1 to 65535, not \"-1\""),
            ("server.port", "99999999999999999999", "from 1 to 65535, not \"99999999999999999999\""),
            ("server.port", "[1]", "expected a whole number from 1 to 65535, not a list"),
            ("server.port", "{a: 1}", "expected a whole number from 1 to 65535, not a mapping"),
            ("server.port", "~", "no value; expected a whole number from 1 to 65535, or leave the key out"),
            ("server.address", "\"\"", "expected an IP address or a host name, not \"\""),
            ("server.nodeId", "../x", "letters, digits, dots, dashes or underscores"),
            ("version", "\"2.0\"", "expected \"3.0\", not \"2.0\""),
            ("security.minTLSVersion", "\"1.1\"", "expected one of 1.2, 1.3, not \"1.1\""),
            ("joblet.defaultCpuLimit", "-5", "expected a whole number from 0 to 1000000, not \"-5\""),
            ("joblet.cleanupTimeout", "5", "expected a duration such as 500ms, 5s or 1h30m, from 0s to 1h, not \"5\""),
            ("joblet.cleanupTimeout", "61m", "from 0s to 1h, not \"61m\""),
            ("joblet.onShutdown", "kill", "expected one of leave, stop, not \"kill\""),
            ("dataDir", "data", "expected an absolute path, not \"data\""),
            ("dataDir", "\"\"", "expected an absolute path, not \"\""),
            ("cgroup.baseDir", "x", "expected an absolute path, or \"\" for the default, not \"x\""),
            ("cgroup.baseDir", "[]", "expected an absolute path, or \"\" for the default, not a list"),
            ("filesystem.allowedMounts", "/usr", "expected a list of absolute paths, not \"/usr\""),
            ("work.onDisk", "yes", "expected true or false, not \"yes\""),
            ("work.onDisk", "\"true\"", "expected true or false, not \"true\""),
            ("work.memoryMax", "1KB", "powers of 1024), from 64KiB to 1TiB, not \"1KB\""),
            ("sandbox.idRange.first", "0", "expected a whole number from 65536 to 4294901759, not \"0\""),
            ("storage.mode", "cloud", "expected one of embedded, workers, not \"cloud\""),
            ("storage.logs.backend", "gcs", "expected one of local-gzip, sqlite, s3, memory, not \"gcs\""),
            ("storage.metrics.backend", "csv", "expected one of local-gzip, sqlite, s3, memory, not \"csv\""),
            ("storage.state.backend", "redis", "expected one of sqlite, dynamodb, memory, not \"redis\""),
            ("storage.state.backend", "dynamodb", "dynamodb needs storage.mode: workers"),
            ("storage.logs.s3.bucket", "My_Bucket", "a bucket's name"),
            ("storage.logs.s3.prefix", "/a/", "words of letters, digits"),
            ("storage.logs.s3.prefix", "a/../b", "words of letters, digits"),
            ("storage.logs.s3.endpoint", "\"ftp://x\"", "a URL such as http://127.0.0.1:9000"),
            ("storage.logs.s3.kmsKeyId", "k", "is used with serverSideEncryption: aws:kms only"),
            ("storage.metrics.s3.kmsKeyId", "k", "is used with serverSideEncryption: aws:kms only"),
            ("storage.logs.retention.maxAge", "30", "expected a duration such as"),
            ("storage.logs.retention.action", "archive", "archive needs an archiveDirectory"),
            ("storage.metrics.directory", "/opt/joblet/logs", "must be apart"),
            ("storage.workers.maxMessageBytes", "1MB", "from 10MiB to 128MiB"),
            ("storage.query.address", "here", "expected host:port"),
            ("network.defaultNetwork", "bridge", "expected one of none, host, not \"bridge\""),
            ("logging.level", "TRACE", "expected one of DEBUG, INFO, WARN, ERROR, not \"TRACE\""),
        ])
    func `a bad value is refused with what is allowed`(path: String, yaml: String, message: String) throws {
        let problems = try configurationProblems(Self.nested(path, yaml))
        #expect(problems.count == 1)
        #expect(problems.first?.contains(": \(path): ") == true)
        #expect(problems.first?.contains(message) == true, "\(problems)")
    }

    @Test func `samples in S3 need a worker and a bucket, their own or that of the logs`() throws {
        let problems = try configurationProblems("{storage: {metrics: {backend: s3}}}")
        #expect(problems.count == 2)
        #expect(problems.contains { $0.contains("storage.metrics.backend: s3 needs storage.mode: workers") })
        #expect(problems.contains { $0.contains("storage.metrics.s3.bucket: storage.metrics.backend is s3") })
        let shared = try loadConfiguration(
            "{storage: {mode: workers, metrics: {backend: s3}, logs: {s3: {bucket: logs, prefix: p}}}}")
        #expect(shared.configuration.metricBucket.bucket == "logs" && shared.configuration.metricBucket.prefix == "p")
        let own = try loadConfiguration(
            "{storage: {mode: workers, metrics: {backend: s3, s3: {bucket: own}}, logs: {s3: {bucket: logs, prefix: p}}}}"
        )
        #expect(own.configuration.metricBucket.bucket == "own" && own.configuration.metricBucket.prefix.isEmpty)
    }

    @Test func `everything wrong in a file is told at once, with line and column`() throws {
        let yaml = """
            server:
              port: 99999
              adress: 1.2.3.4
            joblet: 5
            outbox:
              onFull: wait
            filesystem:
              allowedMounts:
                - /usr
                - usr/lib
                - {}
            """
        #expect(
            try configurationProblems(yaml) == [
                "2:9: server.port: expected a whole number from 1 to 65535, not \"99999\"",
                "3:3: server.adress: unknown key; did you mean server.address? "
                    + "allowed in server: address, nodeId, port",
                "4:9: joblet: expected a mapping with the keys cleanupTimeout, defaultCpuLimit, defaultMemoryLimit, "
                    + "defaultPids, jobTimeout, maxConcurrentJobs, onShutdown, not \"5\"",
                "6:11: outbox.onFull: expected one of block, drop, not \"wait\"",
                "10:7: filesystem.allowedMounts[1]: expected an absolute path, not \"usr/lib\"",
                "11:7: filesystem.allowedMounts[2]: expected an absolute path, not a mapping",
            ])
    }

    @Test(
        arguments: [
            ("{server: {prot: 1}}", "server.prot: unknown key; did you mean server.port?"),
            ("{server: {nodeid: a}}", "server.nodeid: unknown key; did you mean server.nodeId?"),
            ("{joblet: {max_concurrent_jobs: 1}}", "did you mean joblet.maxConcurrentJobs?"),
            ("{server: {maxConcurrentJobs: 1}}", "did you mean joblet.maxConcurrentJobs?"),
            ("{sever: {port: 1}}", "sever: unknown key; did you mean server?"),
            ("{port: 1}", "port: unknown key; did you mean server.port?"),
            ("{sandbox: {idRange: {frist: 1}}}", "did you mean sandbox.idRange.first?"),
            ("{idRange: {first: 1}}", "idRange: unknown key; did you mean sandbox.idRange?"),
            ("{server: {port: {x: 1}}}", "server.port: expected a whole number"),
            ("{server.port: 1}", "\"server.port\": unknown key; allowed at the top of the file: cgroup, dataDir,"),
            ("{server: {zzzzzzzz: 1}}", "server.zzzzzzzz: unknown key; allowed in server: address, nodeId, port"),
            ("{\"a\\nb\": 1}", "\"a\\nb\": unknown key"),
            ("{[a, b]: 1}", "a list stands where the file needs a key"),
            ("{server: {<<: {port: 1}}}", "server.\"<<\": unknown key"),
            ("{\"\": 1}", "\"\": unknown key"),
        ])
    func `an unknown key is refused with the nearest one that exists`(yaml: String, message: String) throws {
        let problems = try configurationProblems(yaml)
        #expect(problems.count == 1)
        #expect(problems.first?.contains(message) == true, "\(problems)")
    }

    @Test func `a section without keys is as good as none`() throws {
        #expect(try loadConfiguration("server:\njoblet: {}\nstorage: ~\n").configuration == .defaults)
    }

    @Test func `values may be shared with anchors`() throws {
        let configuration = try loadConfiguration("{tmp: {size: &s 8MiB}, work: {memoryMax: *s}}").configuration
        #expect(configuration.work.memoryMax == 8 << 20)
        #expect(configuration.tmp.size == 8 << 20)
    }
}
