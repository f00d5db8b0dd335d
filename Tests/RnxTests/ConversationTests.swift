import Foundation
import GRPCCore
import Glibc
import JobletAPI
import JobletSecurity
import SwiftProtobuf
import Synchronization
import Testing

@testable import rnx

/// The program as a process of its own, against a server on a real connection.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ConversationTests {
    private let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479"

    private func job(_ status: String, exitCode: Int32 = 0, signal: Int32 = 0) -> Joblet_GetJobStatusRes {
        .with {
            $0.uuid = id
            $0.status = status
            $0.exitCode = exitCode
            $0.signal = signal
        }
    }

    private func started(_ request: Joblet_RunJobRequest) -> Joblet_RunJobResponse {
        .with {
            $0.jobUuid = id
            $0.command = request.command
            $0.args = request.args
            $0.status = "RUNNING"
        }
    }

    @Test func `A list is printed as text and as JSON`() async throws {
        var server = ScriptedServer()
        server.jobs = [
            .with {
                $0.uuid = id
                $0.status = "COMPLETED"
                $0.startTime = "2024-01-15T10:30:00Z"
                $0.command = "echo"
                $0.args = ["hello"]
            }
        ]
        try await withServer(server) { folder, _ in
            let text = try await Program.run(["list"], in: folder)
            #expect(text.text == "\(id) COMPLETED StartTime: 2024-01-15T10:30:00Z Command: echo hello\n")
            #expect(text.errors == "")
            #expect(text.status == 0)
            let json = try await Program.run(["--json", "job", "list"], in: folder)
            let read = try #require(try JSONSerialization.jsonObject(with: json.output) as? [[String: Any]])
            #expect(read.first?["id"] as? String == id)
        }
    }

    @Test func `What the server refuses is one line, and an object with --json`() async throws {
        try await withServer(ScriptedServer()) { folder, _ in
            let text = try await Program.run(["job", "stop", "abc"], in: folder)
            #expect(text.errors == "Error: job not found: abc\n")
            #expect(text.output.isEmpty)
            #expect(text.status == 1)
            let json = try await Program.run(["job", "stop", "abc", "--json"], in: folder)
            #expect(
                json.text == """
                    {
                      "code": "NOT_FOUND",
                      "message": "job not found: abc",
                      "details": []
                    }

                    """)
            #expect(json.errors == text.errors)
        }
    }

    @Test func `The log is copied byte by byte`() async throws {
        let pieces = (0..<40).map { _ in Data((0..<100_000).map { _ in UInt8.random(in: .min ... .max) }) }
        var server = ScriptedServer()
        server.logs = { request, writer in
            #expect(request.follow)
            for (index, piece) in pieces.enumerated() {
                try await writer.write(
                    .with {
                        $0.payload = piece
                        $0.stream = Int32(index % 2) + 1
                        $0.position = UInt64(index * 100_000)
                    })
            }
            try await writer.write(.with { $0.droppedBytes = 42 })
        }
        try await withServer(server) { folder, _ in
            let result = try await Program.run(["job", "log", id], in: folder)
            #expect(result.output == pieces.reduce(Data(), +))
            #expect(
                result.errors == """
                    Logs for job \(id) (Press Ctrl+C to exit if streaming):
                    [joblet: 42 bytes dropped]

                    """)
            #expect(result.status == 0)
        }
    }

    @Test func `A log whose reader leaves ends quietly`() async throws {
        var server = ScriptedServer()
        server.logs = { _, writer in
            while true { try await writer.write(.with { $0.payload = Data(repeating: 65, count: 10000) }) }
        }
        try await withServer(server) { folder, _ in
            let line = "\(try Program.path) log x 2>errors | head -c 5; echo \" ${PIPESTATUS[0]}\""
            let process = Process()
            process.executableURL = URL(filePath: "/bin/bash")
            process.arguments = ["-c", line]
            process.currentDirectoryURL = URL(filePath: folder)
            let output = Pipe()
            process.standardOutput = output
            try await withCheckedThrowingContinuation { (end: CheckedContinuation<Void, any Error>) in
                process.terminationHandler = { _ in end.resume() }
                do { try process.run() } catch { end.resume(throwing: error) }
            }
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "AAAAA 0\n")
            let errors = try String(contentsOfFile: folder + "/errors", encoding: .utf8)
            #expect(errors == "Logs for job x (Press Ctrl+C to exit if streaming):\n")
        }
    }

    @Test func `Ctrl-C stops following with 0, and waiting with 130`() async throws {
        let (reached, reach) = AsyncStream<Void>.makeStream()
        var server = ScriptedServer()
        server.run = { started($0) }
        server.status = { _ in job("RUNNING") }
        server.logs = { _, writer in
            try await writer.write(.with { $0.payload = Data("x".utf8) })
            reach.yield()
            while true { try await Task.sleep(for: .seconds(3600)) }
        }
        try await withServer(server) { folder, _ in
            var arrivals = reached.makeAsyncIterator()
            for (line, code) in [("log x", 0), ("run --follow ls", 0), ("run --wait ls", 130)] as [(String, Int32)] {
                let pid = Mutex<pid_t>(0)
                async let result = Program.run(words(line), in: folder) { process in
                    pid.withLock { $0 = process.processIdentifier }
                }
                await arrivals.next()
                while pid.withLock({ $0 }) == 0 { await Task.yield() }
                kill(pid.withLock { $0 }, SIGINT)
                let ended = try await result
                #expect(ended.status == code, "\(line)")
                #expect(ended.errors.hasSuffix("Stopping log stream...\n"))
            }
        }
    }

    @Test func `A log goes on after the connection was lost`() async throws {
        let certificates = try TestCertificates()
        let calls = Mutex(0)
        var server = ScriptedServer()
        server.logs = { request, writer in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            #expect(request.fromPosition == (call == 1 ? 0 : 6))
            try await writer.write(
                .with {
                    $0.payload = Data(call == 1 ? "before".utf8 : "after".utf8)
                    $0.stream = 1
                    $0.position = call == 1 ? 0 : 6
                })
            if call == 1 { throw RPCError(code: .unavailable, message: "going away") }
        }
        try await withServer(server, certificates: certificates) { folder, _ in
            let result = try await Program.run(["log", "x"], in: folder)
            #expect(result.text == "beforeafter")
            #expect(result.errors.hasSuffix("[joblet: connection lost, trying again]\n"))
            #expect(result.status == 0)
            calls.withLock { $0 = 0 }
            let once = try await Program.run(["log", "x", "--no-follow"], in: folder)
            #expect(once.text == "before")
            #expect(once.errors.hasSuffix("Error: going away\n"))
            #expect(once.status == 1)
        }
    }

    @Test(
        "Waiting ends with the code of the job",
        arguments: [("COMPLETED", 0, 0, 0), ("FAILED", 7, 0, 7), ("STOPPED", -1, 15, 143)]
            as [(String, Int32, Int32, Int32)])
    func wait(_ status: String, _ code: Int32, _ signal: Int32, _ expected: Int32) async throws {
        let hasEnded = Atomic(false)
        var server = ScriptedServer()
        server.run = { started($0) }
        server.status = { _ in
            hasEnded.load(ordering: .relaxed) ? job(status, exitCode: code, signal: signal) : job("RUNNING")
        }
        server.logs = { request, writer in
            if request.fromPosition == 0 { try await writer.write(.with { $0.payload = Data("output\n".utf8) }) }
            hasEnded.store(true, ordering: .relaxed)
        }
        try await withServer(server) { folder, _ in
            let plain = try await Program.run(["run", "--wait", "ls"], in: folder)
            #expect(plain.status == expected)
            #expect(plain.text.hasPrefix("Job started:\nID: \(id)\nCommand: ls\nStatus: RUNNING\n"))
            #expect(plain.text.contains("Job ended:\nID: \(id)\nStatus: \(status)\nExitCode: \(code)\n"))

            hasEnded.store(false, ordering: .relaxed)
            let followed = try await Program.run(["run", "--wait", "--follow", "ls"], in: folder)
            #expect(followed.text == "output\n")
            #expect(followed.errors.hasPrefix("Job started:\n"))
            #expect(followed.status == expected)

            hasEnded.store(false, ordering: .relaxed)
            let json = try await Program.run(["run", "--wait", "--json", "ls"], in: folder)
            let read = try #require(try JSONSerialization.jsonObject(with: json.output) as? [String: Any])
            #expect(read["status"] as? String == status)
            #expect(read["exit_code"] as? Int32 == code)
        }
    }

    @Test func `Uploads arrive whole, in small pieces`() async throws {
        var server = ScriptedServer()
        server.limits.maxUploadBytes = 4_000_000
        server.limits.maxMessageBytes = 65536
        let content = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        server.upload = { parts in
            var files: [String: Data] = [:]
            var modes: [String: UInt32] = [:]
            var current = ""
            var first: Joblet_RunJobRequest?
            for try await part in parts {
                switch part.part {
                case .request(let request):
                    #expect(first == nil && files.isEmpty)
                    first = request
                case .header(let header):
                    current = header.path
                    modes[current] = header.mode
                    if !header.isDirectory { files[current] = Data(capacity: Int(header.size)) }
                case .content(let bytes):
                    #expect(bytes.count <= 65536)
                    files[current]?.append(bytes)
                case nil:
                    Issue.record("an empty part")
                }
            }
            #expect(files == ["big": content, "empty": Data(), "sub/x": Data("x".utf8)])
            #expect(modes == ["big": 0o600, "empty": 0o644, "sub": 0o755, "sub/x": 0o755])
            return started(try #require(first))
        }
        try await withServer(server) { folder, _ in
            try content.write(to: URL(filePath: folder + "/big"))
            try #require(chmod(folder + "/big", 0o600) == 0)
            try write("", to: folder + "/empty")
            try write("x", to: folder + "/tree/sub/x", mode: 0o755)
            try #require(chmod(folder + "/tree/sub", 0o755) == 0)
            let line = "run --upload big --upload=empty --upload-dir tree cat big"
            let result = try await Program.run(words(line), in: folder)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors == "Uploading 4 files (2.86 MB)...\n")
            #expect(result.text.hasSuffix("Files: 4 uploaded successfully\n"))
        }
    }

    @Test func `More than the server takes is refused before anything is sent`() async throws {
        var server = ScriptedServer()
        server.limits.maxUploadBytes = 10
        try await withServer(server) { folder, _ in
            try write("eleven bytes", to: folder + "/f")
            let result = try await Program.run(["run", "--upload", "f", "cat"], in: folder)
            #expect(result.errors == "Error: uploads are too large: 0.00 MB, the server takes at most 0.00 MB\n")
            #expect(result.status == 1)
        }
    }

    @Test func `A copy arrives, and a hostile one stays inside`() async throws {
        func header(_ path: String, size: UInt64 = 0, folder: Bool = false) -> Joblet_Ext_CopyChunk {
            .with {
                $0.header = .with {
                    $0.path = Data(path.utf8)
                    $0.size = size
                    $0.isDirectory = folder
                    $0.mode = 0o755
                }
            }
        }
        var server = ScriptedServer()
        server.copy = [
            header("", folder: true), header("a", size: 2), .with { $0.content = Data("hi".utf8) },
        ]
        try await withServer(server) { folder, _ in
            let result = try await Program.run(["job", "cp", "\(id):/work/out", "."], in: folder)
            #expect(result.text == "Copied 1 files (0.00 MB) to ./out\n")
            #expect(try String(contentsOfFile: folder + "/out/a", encoding: .utf8) == "hi")
        }
        server.copy = [header("", folder: true), header("../escaped")]
        try await withServer(server) { folder, _ in
            let result = try await Program.run(["job", "cp", "\(id):/work/out", "in"], in: folder)
            #expect(result.errors == "Error: the server sent a path that leaves the copy: ../escaped\n")
            #expect(!FileManager.default.fileExists(atPath: folder + "/escaped"))
        }
    }

    @Test func `The version is that of both sides`() async throws {
        try await withServer(ScriptedServer()) { folder, _ in
            let result = try await Program.run(["version"], in: folder)
            #expect(result.text == "rnx \(ProgramVersion.number)\njoblet 9.9\n")
        }
    }
}
