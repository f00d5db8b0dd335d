import DaemonSupport
import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf
import Testing

extension DaemonTests {
    @Suite(.daemon()) struct JobRequestTests {}
}

/// A request, and how it is refused.
struct BadRequest: Sendable, CustomTestStringConvertible {
    let code: RPCError.Code
    let message: String
    let configure: @Sendable (inout Joblet_RunJobRequest) -> Void

    init(
        _ code: RPCError.Code, _ message: String, _ configure: @escaping @Sendable (inout Joblet_RunJobRequest) -> Void
    ) {
        self.code = code
        self.message = message
        self.configure = configure
    }

    var testDescription: String { message }
}

extension DaemonTests.JobRequestTests {
    private static let processors = ProcessInfo.processInfo.processorCount
    private static let megabytes = ProcessInfo.processInfo.physicalMemory >> 20

    private static let senseless: [BadRequest] = [
        BadRequest(.invalidArgument, "invalid request: command is required") { $0.command = "" },
        BadRequest(.invalidArgument, "invalid request: an argument is too long (1048576 bytes, max 131071)") {
            $0.args = [String(repeating: "x", count: 1 << 20)]
        },
        BadRequest(
            .invalidArgument, "invalid request: arguments and environment are too long (2000149 bytes, max 1900000)"
        ) {
            $0.args =
                Array(repeating: String(repeating: "x", count: 100_000 - 9), count: 20) + [
                    String(repeating: "y", count: 136 - 9)
                ]
        },
        BadRequest(.invalidArgument, "invalid request: an argument contains a null byte") { $0.args = ["a\0b"] },
        BadRequest(.invalidArgument, "invalid request: maxCPU cannot be negative") { $0.maxCpu = -1 },
        BadRequest(
            .invalidArgument, "invalid request: maxCPU exceeds system limits (\(100 * processors) on this node)"
        ) { $0.maxCpu = Int32(100 * DaemonTests.JobRequestTests.processors + 1) },
        BadRequest(.invalidArgument, "invalid request: maxMemory cannot be negative") { $0.maxMemory = -1 },
        BadRequest(.invalidArgument, "invalid request: maxMemory must be at least 6 MB") { $0.maxMemory = 1 },
        BadRequest(
            .invalidArgument, "job creation failed: maxMemory exceeds system limits (\(megabytes) MB on this node)"
        ) { $0.maxMemory = .max },
        BadRequest(.invalidArgument, "invalid request: maxIOBPS cannot be negative") { $0.maxIobps = -1 },
        BadRequest(
            .invalidArgument,
            "invalid request: invalid environment variable name '1A': must start with letter or underscore and contain only "
                + "letters, numbers, and underscores"
        ) { $0.environment = ["1A": "x"] },
        BadRequest(.invalidArgument, "invalid request: environment variable 'A' is given both openly and as a secret") {
            $0.environment = ["A": "x"]
            $0.secretEnvironment = ["A": "y"]
        },
        BadRequest(.invalidArgument, "invalid request: environment variable 'A' contains a null byte") {
            $0.secretEnvironment = ["A": "secret\0"]
        },
        BadRequest(.invalidArgument, "invalid request: workDir must be a path without '..'") { $0.workDir = "../x" },
        BadRequest(.invalidArgument, "invalid request: the job's name must be at most 255 printable bytes") {
            $0.name = "a\u{1b}[2J"
        },
        BadRequest(.invalidArgument, "invalid request: timeout must be a duration such as 90s or 1h30m") {
            $0.timeout = "soon"
        },
        BadRequest(.invalidArgument, "invalid request: durability must be one of process, power") {
            $0.durability = "eternal"
        },
        BadRequest(.invalidArgument, "invalid request: output_policy must be one of block, drop") {
            $0.outputPolicy = "print"
        },
    ]

    private static func later(
        _ feature: String, _ field: String, _ configure: @escaping @Sendable (inout Joblet_RunJobRequest) -> Void
    ) -> BadRequest {
        BadRequest(.unimplemented, "\(feature) are not available on this server (field \(field))", configure)
    }

    private static let notYet: [BadRequest] = [
        later("scheduled jobs", "schedule") { $0.schedule = "2030-01-01T00:00:00Z" },
        later("volumes", "volumes") { $0.volumes = ["data"] },
        later("runtimes", "runtime") { $0.runtime = "python-3.11" },
        later("GPUs", "gpu_count") { $0.gpuCount = 1 },
        later("GPUs", "gpu_memory_mb") { $0.gpuMemoryMb = 1 },
        later("core bindings", "cpuCores") { $0.cpuCores = "0" },
        later("I/O limits", "maxIobps") { $0.maxIobps = 1 },
        later("workflows", "workflowUuid") { $0.workflowUuid = "x" },
        later("workflows", "jobUuid") { $0.jobUuid = "x" },
        later("workflows", "requirements") { $0.requirements = [.init()] },
        BadRequest(.unimplemented, "network 'bridge' is not available: none and host are") { $0.network = "bridge" },
    ]

    @Test(arguments: DaemonTests.JobRequestTests.senseless + DaemonTests.JobRequestTests.notYet)
    func `a request that cannot be met is refused and leaves nothing`(request: BadRequest) async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let before = try await client.jobs.listJobs(.init()).jobs.count
            await expectRefusal(request.code, request.message) {
                try await client.run("true") { message in
                    message.uploads = [
                        .with {
                            $0.path = "file"; $0.content = Data("x".utf8)
                        }
                    ]
                    request.configure(&message)
                }
            }
            #expect(try await client.jobs.listJobs(.init()).jobs.count == before)
            #expect(names(in: "\(daemon.dataDirectory)/staging") == [])
        }
    }

    @Test func `a command that cannot be executed is a failed job, not an error`() async throws {
        try await SharedDaemon.current.connect { client in
            for (command, code) in [
                ("no-such-command", 127), ("/no/such/command", 127), ("/etc/os-release", 126), ("/usr", 126),
            ] {
                let job = try await client.run(command)
                let end = try await client.end(of: job.jobUuid)
                #expect(end.status == "FAILED", "\(command)")
                #expect(end.exitCode == Int32(code), "\(command): \(end.reason)")
                #expect(try await client.jobs.listJobs(.init()).jobs.contains { $0.uuid == job.jobUuid })
            }
        }
    }

    @Test func `the largest argument is passed on whole`() async throws {
        try await SharedDaemon.current.connect { client in
            let argument = String(repeating: "x", count: 131_071)
            let job = try await client.run("sh", "-c", "printf %s \"$1\" | wc -c", "sh", argument)
            #expect(try await client.text(job.jobUuid) == "131071\n")
        }
    }

    @Test func `a job gets its arguments, environment and directory unchanged`() async throws {
        try await SharedDaemon.current.connect { client in
            let strange = ["", " ", "a b", "$HOME", "`id`", "\"quoted\"", "line\nbreak", "ünïcödé", "-c", "*"]
            let script = "printf '<%s>' \"$@\" \"$VARIABLE\" \"$PWD\""
            let job = try await client.run("sh", "-c", script, "sh") { request in
                request.args += strange
                request.environment = ["VARIABLE": "multi\nline = \"value\""]
                request.workDir = "sub/folder"
                request.uploads = [
                    .with {
                        $0.path = "sub/folder"; $0.isDirectory = true
                    }
                ]
            }
            let expected = (strange + ["multi\nline = \"value\"", "/work/sub/folder"]).map { "<\($0)>" }.joined()
            #expect(try await client.text(job.jobUuid) == expected)
        }
    }

    @Test func `a job is stopped at its timeout`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.run("sleep", "100") { $0.timeout = "50ms" }
            let end = try await client.end(of: job.jobUuid)
            #expect(end.status == "STOPPED")
            #expect(end.reason == "timeout")
            #expect(end.exitCode == -1)
            #expect(end.timeout == "0.05s")
        }
    }

    @Test func `a job that takes more memory than its limit is killed and says so`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.run("perl", "-e", "my $x = 'x' x (200 << 20); sleep 100") { $0.maxMemory = 32 }
            let end = try await client.end(of: job.jobUuid)
            #expect(end.status == "FAILED")
            #expect(end.reason == "oom")
            #expect(end.signal == 9)
        }
    }

    @Test func `no more jobs run than the node allows`() async throws {
        try await DaemonProcess.run(["joblet.maxConcurrentJobs": "2"]) { daemon in
            try await daemon.connect { client in
                let jobs = try await [client.run("sleep", "100").jobUuid, client.run("sleep", "100").jobUuid]
                await expectRefusal(.resourceExhausted, "2 jobs run already (joblet.maxConcurrentJobs)") {
                    try await client.run("true")
                }
                _ = try await client.jobs.stopJob(.with { $0.uuid = jobs[0] })
                // The place is free once the end is told, which is after the answer.
                #expect(await holds { (try? await client.run("true")) != nil })
            }
        }
    }
}
