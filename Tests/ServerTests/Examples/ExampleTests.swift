import DaemonSupport
import Foundation
import TestSupport
import Testing

extension DaemonTests {
    /// What the API reference lets its readers type, and what they read then.
    @Suite(.daemon()) struct ExampleTests {}
}

extension DaemonTests.ExampleTests {
    private static let script = """
        import time
        print("Starting script...", flush=True)
        print("Processing item 1", flush=True)
        time.sleep(1000)
        """

    @Test func `a job is run, looked at, stopped, read and deleted`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        try terminal.write("script.py", Self.script)
        let started = try await terminal.type(
            "rnx job run --upload=script.py --max-cpu=50 --max-memory=512 python3 script.py")
        expect(
            started,
            output: """
                Job started:
                ID: <id>
                Command: python3 script.py
                Status: INITIALIZING
                StartTime: <time>
                MaxCPU: 50
                MaxMemory: 512
                Network: none (loopback only)
                Files: 1 uploaded successfully

                """,
            errors: "Uploading 1 files (0.00 MB)...\n")
        let id = try #require(started.id)
        try await SharedDaemon.current.connect { try await $0.waitForOutput("item 1\n", of: id) }

        let running = try await terminal.type("rnx job status \(id)")
        #expect(running.status == 0 && running.errors == "", "\(running)")
        #expect(
            running.shape.output.hasPrefix(
                """
                Id: <id>
                Command: python3 script.py
                Status: RUNNING
                Started At: <time>
                Ended At:
                MaxCPU: 50
                MaxMemory: 512
                MaxIOBPS: 0
                ExitCode: 0

                """), "\(running)")
        expect(
            try await terminal.type("rnx job delete \(id)"),
            errors: "Error: Cannot delete running job <id> (current status: RUNNING): stop the job first\n", status: 1)
        expect(
            try await terminal.type("rnx job cancel \(id)"),
            errors: "Error: Job is not scheduled (current status: RUNNING)\n", status: 1)
        expect(
            try await terminal.type("rnx job stop \(id)"),
            output: """
                Job stopped successfully:
                ID: <id>
                Status: STOPPED
                ExitCode: -1
                EndTime: <time>

                """)
        expect(
            try await terminal.type("rnx job stop \(id)"),
            errors: "Error: job is not running: <id> (current status: STOPPED)\n", status: 1)
        expect(
            try await terminal.type("rnx job log \(id)"), output: "Starting script...\nProcessing item 1\n",
            errors: "Logs for job <id> (Press Ctrl+C to exit if streaming):\n")
        expect(
            try await terminal.type("rnx job delete \(id)"),
            output: "Job deleted successfully:\nID: <id>\nMessage: Job deleted successfully\n")
        for verb in ["status", "log", "stop", "cancel", "delete"] {
            let gone = try await terminal.type("rnx job \(verb) \(id)")
            #expect(gone.shape.errors.hasSuffix("Error: job not found: <id>\n"), "\(verb): \(gone)")
            #expect(gone.status == 1 && gone.output == "", "\(verb): \(gone)")
        }
    }

    @Test func `jobs are listed in the order of their starts, and all that ended are deleted`() async throws {
        try await DaemonProcess.run { daemon in
            let terminal = try Terminal(daemon)
            expect(try await terminal.type("rnx job list"), output: "No jobs found\n")
            expect(try await terminal.type("rnx --json job list"), output: "[]\n")
            _ = try await terminal.type("rnx job run --wait echo hello")
            let running = try await terminal.start("sleep 1000")
            _ = try await terminal.type("rnx job run --wait invalid-command")
            #expect(
                try await holds {
                    try await terminal.type("rnx job list --status running").output.contains(running)
                })
            let lines = """
                <id> COMPLETED StartTime: <time> Command: echo hello
                <id> RUNNING StartTime: <time> Command: sleep 1000
                <id> FAILED StartTime: <time> Command: invalid-command

                """
            expect(try await terminal.type("rnx job list"), output: lines)
            expect(try await terminal.type("rnx list"), output: lines)
            let json = try await terminal.type("rnx job list --json | jq -c '[.[] | [.status, .command, .args]]'")
            expect(
                json,
                output: """
                    [["COMPLETED","echo",["hello"]],["RUNNING","sleep",["1000"]],["FAILED","invalid-command",null]]

                    """)
            expect(
                try await terminal.type("rnx job delete-all"),
                output: "Successfully deleted 2 jobs, skipped 1 running/scheduled jobs\n")
            expect(
                try await terminal.type("rnx list"),
                output: "<id> RUNNING StartTime: <time> Command: sleep 1000\n")
            _ = try await terminal.type("rnx job stop \(running)")
            let deleted = try await terminal.type("rnx --json job delete-all").object
            #expect(deleted["deleted_count"] as? Int == 1)
            #expect(deleted["skipped_count"] as? Int == 0)
            #expect(deleted["success"] as? Bool == true)
        }
    }

    @Test(
        "a command of the examples runs and its log is what it printed",
        arguments: [
            ("echo \"hello world\"", "Command: echo hello world\n", "hello world\n"),
            ("bash -c \"sleep 1 && echo done\"", "Command: bash -c sleep 1 && echo done\n", "done\n"),
            ("--max-cpu=50 sh -c 'echo 50'", "MaxCPU: 50\nMaxMemory: 512\n", "50\n"),
            ("--max-memory=1024 sh -c 'echo 1024'", "MaxCPU: 100\nMaxMemory: 1024\n", "1024\n"),
            ("--max-cpu 50 --max-memory 64 sh -c 'echo $1' sh --help", "MaxCPU: 50\nMaxMemory: 64\n", "--help\n"),
            ("-e GREETING=hi sh -c 'echo $GREETING'", "Environment: 1 variables set\n", "hi\n"),
            (
                "--env=A=1 --secret-env TOKEN=s3cret sh -c 'echo $A$TOKEN'", "Secret Environment: 1 variables set\n",
                "1s3cret\n"
            ),
            ("--network=host sh -c 'echo x'", "Network: host (shared with system)\n", "x\n"),
        ])
    func runs(_ words: String, _ lines: String, _ log: String) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let started = try await terminal.type("rnx job run \(words)")
        #expect(started.status == 0 && started.errors == "", "\(started)")
        #expect(started.output.hasPrefix("Job started:\nID: "), "\(started)")
        #expect(started.output.contains(lines), "\(started)")
        #expect(!started.output.contains("s3cret"), "\(started)")
        let id = try #require(started.id)
        let printed = try await terminal.type("rnx job log \(id)")
        #expect(printed.output == log)
        #expect(printed.status == 0)
        let status = try await terminal.type("rnx job status \(id); rnx --json job status \(id)")
        #expect(!status.output.contains("s3cret"), "\(status)")
    }

    @Test func `a shortened id stands for its job, and logs go through pipes`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let id = try await terminal.start("sh -c 'echo fine; echo ERROR one; echo out >&2; echo ERROR two'")
        expect(
            try await terminal.type("rnx job log \(id.prefix(8)) 2>/dev/null | grep ERROR"),
            output: "ERROR one\nERROR two\n")
        expect(
            try await terminal.type("rnx job log \(id.prefix(8)) --stream=stderr 2>/dev/null"), output: "out\n")
        expect(try await terminal.type("rnx log \(id.uppercased()) 2>/dev/null | head -n 1"), output: "fine\n")
        let chunks = try await terminal.type(
            "rnx --json job log \(id.prefix(8)) | jq -sj 'map(select(.stream == \"stdout\").data) | add'")
        #expect(chunks.output == "fine\nERROR one\nERROR two\n", "\(chunks)")
        let details = try await terminal.type("rnx --json job status \(id.prefix(13))").object
        #expect(details["uuid"] as? String == id)
        #expect(details["status"] as? String == "COMPLETED")
        #expect(details["exitCode"] as? Int == 0)
    }

    @Test func `server and certificates are taken from flags, environment or the usual files`() async throws {
        let daemon = try SharedDaemon.current
        let terminal = try Terminal(daemon)
        try FileManager.default.removeItem(atPath: "\(terminal.folder.path)/rnx-config.yml")
        let server = "127.0.0.1:\(daemon.port)"
        let remote = try await terminal.type(
            """
            rnx --server=\(server) \\
            --cert=certs/admin-client-cert.pem \\
            --key=certs/admin-client-key.pem \\
            run echo "remote execution on Linux"
            """)
        #expect(remote.status == 0 && remote.errors == "", "\(remote)")
        #expect(remote.output.contains("Command: echo remote execution on Linux\n"), "\(remote)")
        let list = try await terminal.type("rnx --server=\(server) list")
        #expect(list.status == 0 && list.output.contains("Command: echo remote execution on Linux\n"), "\(list)")
        let exported = try await terminal.type(
            """
            export JOBLET_SERVER="\(server)"
            export JOBLET_CERT_PATH="./certs/viewer-client-cert.pem"
            export JOBLET_KEY_PATH="./certs/viewer-client-key.pem"
            export JOBLET_CA_PATH="./certs/ca-cert.pem"
            rnx job run python3 script.py
            """)
        expect(
            exported, errors: "Error: role viewer is not allowed to perform operation run_job\n", status: 1)
        let both = try await terminal.type(
            "rnx job list --server \(server) > /dev/null && echo listed", environment: ["JOBLET_SERVER": "127.0.0.1:1"])
        expect(both, output: "listed\n")
    }

    @Test func `the reference's configuration file is taken, with a warning for what has no effect`() async throws {
        let terminal = try Terminal()
        try terminal.write(
            "joblet-config.yml",
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
        let printed = try await terminal.type("joblet config check --config joblet-config.yml")
        for line in ["joblet.defaultCpuLimit: 100", "joblet.jobTimeout: 1h", "grpc.maxRecvMsgSize: 512KiB"] {
            #expect(printed.output.split(separator: "\n").contains(Substring(line)), "\(line): \(printed)")
        }
        let warnings = printed.errors.split(separator: "\n")
        #expect(warnings.count == 2 && warnings.allSatisfy { $0.hasPrefix("warning: ") }, "\(printed)")
        #expect(printed.errors.contains("joblet.defaultIoLimit") && printed.errors.contains("grpc.maxSendMsgSize"))
        #expect(printed.status == 0)
    }

    @Test func `the server applies the reference's configuration and logs the life of its jobs`() async throws {
        try await DaemonProcess.run([
            "joblet.defaultCpuLimit": "100", "joblet.defaultMemoryLimit": "512", "joblet.maxConcurrentJobs": "100",
            "joblet.jobTimeout": "\"1h\"", "joblet.cleanupTimeout": "\"5s\"", "grpc.maxRecvMsgSize": "524288",
            "grpc.keepAliveTime": "\"30s\"",
        ]) { daemon in
            let terminal = try Terminal(daemon)
            // More than one message holds.
            let file = try await terminal.type("head -c 3000000 /dev/urandom > data && sha256sum < data")
            let started = try await terminal.type("rnx job run --upload data sh -c 'sha256sum < data'")
            #expect(started.output.contains("MaxCPU: 100\nMaxMemory: 512\n"), "\(started)")
            let id = try #require(started.id)
            expect(try await terminal.type("rnx job log \(id) 2>/dev/null"), output: file.output)
            #expect(try await terminal.type("rnx --json job status \(id)").object["timeout"] as? String == "3600s")
            let line = try await daemon.process?.line(containing: "job started successfully") ?? ""
            #expect(
                line.contains(#/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\] \[INFO\] job started successfully \| /#),
                "\(line)")
            #expect(line.contains("command=\"sh -c sha256sum < data\""), "\(line)")
            #expect(line.contains(#/ duration=\d+ms /#), "\(line)")
            #expect(line.contains("jobId=\(id)") && line.contains(#/ pid=\d+/#), "\(line)")
        }
    }
}
