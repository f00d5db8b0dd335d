import DaemonSupport
import Foundation
import JobletSecurity
import TestSupport
import Testing

extension DaemonTests {
    /// What `rnx` says where something cannot be had.
    @Suite(.daemon(["uploads.maxBytes": "1MB"])) struct RefusalTests {}
}

extension DaemonTests.RefusalTests {
    private static let nobody = "f47ac10b-58cc-4372-a567-0e02b2c3d479"

    @Test func `an error with --json is one object on standard output`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let printed = try await terminal.type("rnx --json job status \(Self.nobody)")
        #expect(
            printed.output == """
                {
                  "code": "NOT_FOUND",
                  "message": "job not found: \(Self.nobody)",
                  "details": []
                }

                """)
        #expect(printed.errors == "Error: job not found: \(Self.nobody)\n")
        #expect(printed.status == 1)
    }

    @Test(
        "a viewer is told what the role may not do",
        arguments: [
            ("job run echo", "run_job"), ("job run --upload rnx-config.yml cat", "run_job"),
            ("job stop \(nobody)", "stop_job"), ("job cancel \(nobody)", "stop_job"),
            ("job delete \(nobody)", "delete_job"), ("job delete-all", "delete_job"),
            ("job cp \(nobody):x .", "copy_from_job"),
        ])
    func viewer(_ words: String, _ operation: String) async throws {
        let terminal = try Terminal(SharedDaemon.current, as: .viewer)
        let printed = try await terminal.type("rnx \(words)")
        #expect(
            printed.errors.hasSuffix("Error: role viewer is not allowed to perform operation \(operation)\n"),
            "\(printed)")
        #expect(printed.output == "" && printed.status == 1, "\(printed)")
        let json = try await terminal.type("rnx --json \(words)").object
        #expect(json["code"] as? String == "PERMISSION_DENIED")
    }

    @Test func `a viewer sees jobs and their logs`() async throws {
        let daemon = try SharedDaemon.current
        let id = try await Terminal(daemon).start("--wait echo seen")
        let terminal = try Terminal(daemon, as: .viewer)
        expect(try await terminal.type("rnx job log \(id) 2>/dev/null"), output: "seen\n")
        #expect(try await terminal.type("rnx job list").output.contains("\(id) COMPLETED "))
        #expect(try await terminal.type("rnx job status \(id)").status == 0)
        #expect(try await terminal.type("rnx version").shape.output.contains("\njoblet "))
    }

    @Test(
        "a feature of a later version is refused by its name",
        arguments: [
            ("workflow run pipeline.yaml", "workflows"), ("workflow list", "workflows"),
            ("workflow status a1b2c3d4-e5f6-7890-1234-567890abcdef", "workflows"), ("workflow", "workflows"),
            ("network create my-net --cidr=10.10.0.0/24", "networks"), ("network list", "networks"),
            ("volume create data --size=1GB", "volumes"), ("volume list", "volumes"),
            ("runtime install python-3.11", "runtimes"), ("runtime list", "runtimes"),
            ("monitor status", "system metrics"), ("monitor watch --interval=5", "system metrics"),
        ])
    func later(_ words: String, _ feature: String) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let message = "\(feature) are not available in this version of rnx"
        expect(try await terminal.type("rnx \(words)"), errors: "Error: \(message)\n", status: 1)
        let json = try await terminal.type("rnx --json \(words)")
        #expect(json.status == 1)
        #expect(try json.object["code"] as? String == "UNIMPLEMENTED")
        #expect(try json.object["message"] as? String == message)
    }

    @Test(
        "an option of a later version is refused by its name",
        arguments: [
            ("--schedule=1hour", "scheduled jobs", "schedule"), ("--volume=data", "volumes", "volumes"),
            ("--runtime=python-3.11", "runtimes", "runtime"), ("--gpu=1", "GPUs", "gpu_count"),
            ("--gpu-memory=8GB", "GPUs", "gpu_memory_mb"), ("--cpu-cores=0-1", "core bindings", "cpuCores"),
            ("--max-iobps=1048576", "I/O limits", "maxIobps"),
        ])
    func laterOption(_ option: String, _ feature: String, _ field: String) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        for line in ["rnx job run \(option) true", "rnx job run --upload rnx-config.yml \(option) true"] {
            let printed = try await terminal.type(line)
            let message = "Error: \(feature) are not available on this server (field \(field))\n"
            #expect(printed.errors.hasSuffix(message), "\(printed)")
            #expect(printed.status == 1 && printed.output == "", "\(printed)")
        }
        let json = try await terminal.type("rnx --json job run \(option) true").object
        #expect(json["code"] as? String == "UNIMPLEMENTED")
    }

    @Test(
        "what makes no sense is refused in one line",
        arguments: [
            ("run ''", "invalid request: command is required"),
            ("run --max-cpu=-1 true", "invalid request: maxCPU cannot be negative"),
            ("run --max-memory=-1 true", "invalid request: maxMemory cannot be negative"),
            ("run --max-memory=1 true", "invalid request: maxMemory must be at least 6 MB"),
            ("run --max-iobps=-1 true", "invalid request: maxIOBPS cannot be negative"),
            ("run --network=bridge true", "network 'bridge' is not available: none and host are"),
            ("run --work-dir=../etc true", "invalid request: workDir must be a path without '..'"),
            ("run --upload=missing true", "cannot access upload file missing: No such file or directory"),
            ("run --upload=certs true", "use --upload-dir for directories: certs"),
            ("run --upload-dir=missing true", "directory upload failed for missing: No such file or directory"),
            ("run --upload=a --upload=./a true", "two uploads have the path a: a, ./a"),
            ("run --upload=big true", "uploads are too large: 1.05 MB, the server takes at most 1.00 MB"),
            ("status ../../etc/passwd", "job not found: ../../etc/passwd"),
            ("log /etc/passwd", "job not found: /etc/passwd"), ("stop '%00'", "job not found: %00"),
            ("delete '*'", "job not found: *"),
            ("cp ../../etc/passwd:/work/x .", "job not found: ../../etc/passwd"),
        ])
    func senseless(_ words: String, _ message: String) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        try terminal.write("a", "x")
        _ = try await terminal.type("head -c 1100000 /dev/zero > big")
        let printed = try await terminal.type("rnx job \(words)")
        #expect(printed.errors.hasSuffix("Error: \(message)\n"), "\(printed)")
        #expect(printed.output == "" && printed.status == 1, "\(printed)")
    }

    @Test(
        "a wrong command line ends with 2 and one line",
        arguments: [
            "job run", "job run --max-cpu=many true", "job run --nonsense true", "job run --env A true",
            "job run --env 1A=x true", "job run --timeout soon true", "job status", "job status ''", "job nonsense",
            "job list --limit 0", "job log x --since yesterday", "nonsense", "job cp a b",
        ])
    func wrongLine(_ words: String) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let printed = try await terminal.type("rnx \(words)")
        #expect(printed.status == 2 && printed.output == "", "\(printed)")
        #expect(printed.errors.hasPrefix("Error: ") && printed.errors.split(separator: "\n").count == 1, "\(printed)")
    }

    @Test func `certificate problems are named as such`() async throws {
        let daemon = try SharedDaemon.current
        let authority = try daemon.certificates.authority()
        let past = Date(timeIntervalSinceNow: -100 * 86400)
        let expired = try authority.issueClient(role: .admin, days: 10, at: past)
        let foreign = try CertificateAuthority()
        let cases = [
            (TLSIdentity(expired, authority), "certificate verify failed: certificate has expired"),
            (TLSIdentity(try authority.issueClient(role: .admin), foreign), "certificate verify failed: "),
            (TLSIdentity(try foreign.issueClient(role: .admin), authority), "certificate verify failed: "),
        ]
        for (identity, text) in cases {
            let terminal = try Terminal(daemon, identity: identity)
            let printed = try await terminal.type("rnx job list")
            #expect(printed.errors.hasPrefix("Error: \(text)"), "\(printed)")
            #expect(printed.errors.split(separator: "\n").count == 1, "\(printed)")
            #expect(printed.status == 1 && printed.output == "", "\(printed)")
            #expect(try await terminal.type("rnx --json list").object["code"] as? String == "UNAUTHENTICATED")
        }
        let terminal = try Terminal(daemon)
        expect(
            try await terminal.type("rnx --cert certs/none.pem list"),
            errors: "Error: certificate file missing: certs/none.pem\n", status: 1)
    }

    @Test func `a server that is not there is named with its address`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let printed = try await terminal.type("rnx --server=127.0.0.1:1 list")
        expect(
            printed, errors: "Error: cannot reach joblet at 127.0.0.1:1: Connection refused\n", status: 1)
        #expect(
            try await terminal.type("rnx --json --server=127.0.0.1:1 list").object["code"] as? String == "UNAVAILABLE")
    }

    @Test(
        "a configuration that cannot be used is named with its path",
        arguments: [
            ("", "no nodes configured in bad.yml"), ("nodes:\n", "no nodes configured in bad.yml"),
            ("nodes: {}\n", "no nodes configured in bad.yml"),
            ("nodes:\n  other:\n    address: h\n", "node 'default' not found in configuration"),
            ("nodes:\n  default:\n    address: h\n", "client certificates are not configured for node default"),
            ("just text\n", "failed to parse client config bad.yml: "),
            ("nodes: [\n", "failed to parse client config bad.yml: "),
            ("\u{0}\u{1}\u{2}", "failed to parse client config bad.yml: "),
        ])
    func configuration(_ text: String, _ message: String) async throws {
        let terminal = try Terminal()
        try terminal.write("bad.yml", text)
        let printed = try await terminal.type("rnx --config bad.yml job list")
        #expect(printed.errors.hasPrefix("Error: \(message)"), "\(printed)")
        #expect(printed.errors.split(separator: "\n").count == 1, "\(printed)")
        #expect(printed.status == 1 && printed.output == "", "\(printed)")
    }

    @Test func `a configuration that is missing or cannot be read is named`() async throws {
        let terminal = try Terminal()
        expect(
            try await terminal.type("rnx --config none.yml list"),
            errors: "Error: client configuration file not found: none.yml\n", status: 1)
        let directory = try await terminal.type("rnx --config . list")
        #expect(directory.errors.hasPrefix("Error: failed to read client config file .: "), "\(directory)")
        #expect(directory.status == 1)
        let node = try await Terminal(SharedDaemon.current).type("rnx --node other list")
        expect(node, errors: "Error: node 'other' not found in configuration\n", status: 1)
    }
}
