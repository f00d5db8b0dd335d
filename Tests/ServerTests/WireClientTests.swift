import DaemonSupport
import Foundation
import JobletAPI
import JobletSecurity
import TestSupport
import Testing

/// The client in Tests/WireClient, built from the protos with Debian's libgrpc++ and libprotobuf.
private enum WireClient {
    /// What is missing to build it; nil where nothing is. `make setup` installs all of it.
    static let missing: String? = [
        "/usr/bin/g++", "/usr/bin/protoc", "/usr/bin/grpc_cpp_plugin", "/usr/bin/pkg-config",
        "/usr/include/grpcpp/grpcpp.h", "/usr/include/google/protobuf/message.h",
    ].first { !FileManager.default.fileExists(atPath: $0) }

    /// Builds the program where it is not there already, and returns its path.
    static func build() async throws -> String {
        let folder = URL(filePath: Products.path("joblet")).deletingLastPathComponent().appending(path: "wire-client")
            .path
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../WireClient/build.sh").path
        let result = try await runProgram("/usr/bin/env", ["bash", script, folder])
        try #require(result.status == 0, "\(result.output)")
        return "\(folder)/wire-client"
    }
}

extension DaemonTests {
    @Suite(.enabled(if: WireClient.missing == nil, "needs \(WireClient.missing ?? ""): run make setup"))
    struct WireClientTests {}
}

extension DaemonTests.WireClientTests {
    @Test func `a client of another implementation runs, sees, reads, stops and deletes jobs`() async throws {
        let program = try await WireClient.build()
        try await DaemonProcess.run { daemon in
            func call(_ words: String..., status: Int32 = 0) async throws -> String {
                let arguments = ["127.0.0.1:\(daemon.port)", daemon.certificates.path] + words
                let result = try await runProgram(program, arguments)
                #expect(result.status == status, "\(words): \(result.output)")
                return result.output
            }
            let node = try await daemon.connect { try await $0.node.getNodeInfo(.init()).nodeID }
            let script = "stat -c '%a %s' folder/upload; cat folder/upload; echo $FROM; echo ${#HIDDEN}; exit 5"
            let started = Fields(try await call("run", "wired", "60", "80", "sh", "-c", script))
            let job = started["jobUuid"]
            #expect(UUID(uuidString: job) != nil)
            #expect(started["status"] == "INITIALIZING")
            #expect(started["command"] == "sh")
            #expect(started.all("args") == ["-c", script])
            #expect(started["maxCpu"] == "60")
            #expect(started["maxMemory"] == "80")
            #expect(ISO8601DateFormatter().date(from: started["startTime"]) != nil)

            let log = try await daemon.connect { try await $0.log(job) }
            #expect(log == Data("640 10\n".utf8) + [0, 0xff] + Data(" upload\nwire-client\n5\n".utf8))
            let printed = try await call("log", job)
            #expect(Data(printed.utf8) == Data(String(decoding: log, as: UTF8.self).utf8))
            _ = try await daemon.connect { try await $0.end(of: job) }

            let status = Fields(try await call("status", String(job.prefix(8))))
            #expect(status["uuid"] == job)
            #expect(status["name"] == "wired")
            #expect(status["command"] == "sh")
            #expect(status.all("args") == ["-c", script])
            #expect(status["maxCPU"] == "60")
            #expect(status["maxMemory"] == "80")
            #expect(status["status"] == "FAILED")
            #expect(status["exitCode"] == "5")
            // Accepted at the one, running at the other.
            let format = ISO8601DateFormatter()
            let accepted = try #require(format.date(from: started["startTime"]))
            #expect((0...60).contains(try #require(format.date(from: status["startTime"])).timeIntervalSince(accepted)))
            #expect(status["endTime"] != "")
            #expect(status["environment.FROM"] == "wire-client")
            #expect(status["secret_environment.HIDDEN"] == "***")
            #expect(status["nodeId"] == node)
            #expect(status["network"] == "none")
            #expect(status["workDir"] == "/work")
            #expect(status.all("uploads") == ["folder/upload"])

            let sleeper = Fields(try await call("run", "", "0", "0", "sleep", "1000"))["jobUuid"]
            let isRunning = try await daemon.connect { client in
                try await holds { try await client.status(sleeper).status == "RUNNING" }
            }
            #expect(isRunning)
            let list = Fields(try await call("list"))
            #expect(list.all("uuid") == [job, sleeper])
            #expect(list.all("status") == ["FAILED", "RUNNING"])
            #expect(list.all("maxCPU") == ["60", "100"])
            #expect(list.all("maxMemory") == ["80", "512"])

            let stopped = Fields(try await call("stop", sleeper))
            #expect(stopped["uuid"] == sleeper)
            #expect(stopped["status"] == "STOPPED")
            #expect(stopped["exitCode"] == "-1")
            #expect(ISO8601DateFormatter().date(from: stopped["endTime"]) != nil)
            // 9 is FAILED_PRECONDITION, 5 is NOT_FOUND, 3 is INVALID_ARGUMENT.
            let again = try await call("stop", sleeper, status: 1)
            #expect(again == "error=9 job is not running: \(sleeper) (current status: STOPPED)\n")

            let deleted = Fields(try await call("delete", job))
            #expect(deleted["uuid"] == job)
            #expect(deleted["success"] == "1")
            #expect(try await call("status", job, status: 1) == "error=5 job not found: \(job)\n")
            #expect(try await call("log", job, status: 1) == "error=5 job not found: \(job)\n")
            #expect(
                try await call("run", "", "-1", "0", "true", status: 1)
                    == "error=3 invalid request: maxCPU cannot be negative\n")
        }
    }
}

/// Lines of `name=value`.
private struct Fields {
    private let lines: [(name: String, value: String)]

    init(_ text: String) {
        lines = text.split(separator: "\n").map { line in
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
    }

    /// The first value of a field; empty where there is none.
    subscript(name: String) -> String { all(name).first ?? "" }

    /// All values of a field, in order.
    func all(_ name: String) -> [String] { lines.filter { $0.name == name }.map(\.value) }
}
