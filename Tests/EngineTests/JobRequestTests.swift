import Foundation
import Storage
import TestSupport
import Testing

@testable import Engine

struct JobRequestTests {
    private static let host = HostResources(processors: 2, memoryBytes: 4 << 30)

    private func specification(
        _ change: (inout JobRequest) -> Void, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> JobSpecification {
        let directory = try TemporaryDirectory()
        var request = JobRequest("true")
        change(&request)
        var configuration = EngineConfiguration()
        configure(&configuration)
        return try JobSpecification(
            request, id: .random(), configuration: configuration,
            key: try SecretKey(path: directory.path + "/key"), host: JobRequestTests.host)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let code: EngineError.Code
        let change: @Sendable (inout JobRequest) -> Void

        init(
            _ name: String, _ code: EngineError.Code = .invalidArgument,
            _ change: @escaping @Sendable (inout JobRequest) -> Void
        ) {
            testDescription = name
            self.code = code
            self.change = change
        }
    }

    private static let refusals: [Refusal] = [
        Refusal("no command") { $0.command = "" },
        Refusal("a null byte in the command") { $0.command = "a\0b" },
        Refusal("a null byte in an argument") { $0.arguments = ["\0"] },
        Refusal("an argument of 1 MB") { $0.arguments = [String(repeating: "x", count: 1 << 20)] },
        Refusal("an argument one byte too long") { $0.arguments = [String(repeating: "x", count: 131_072)] },
        Refusal("too many arguments together") {
            $0.arguments = Array(repeating: String(repeating: "x", count: 100_000), count: 20)
        },
        Refusal("a million empty arguments") { $0.arguments = Array(repeating: "", count: 1_000_000) },
        Refusal("a variable name with a dash") { $0.environment["A-B"] = "" },
        Refusal("a variable name that begins with a digit") { $0.environment["1A"] = "" },
        Refusal("an empty variable name") { $0.environment[""] = "x" },
        Refusal("a variable name with an equals sign") { $0.secretEnvironment["A=B"] = "x" },
        Refusal("a variable name with a combining mark") { $0.environment["A\u{301}"] = "x" },
        Refusal("a null byte in a variable") { $0.environment["A"] = "a\0" },
        Refusal("a null byte in a secret") { $0.secretEnvironment["A"] = "a\0" },
        Refusal("a variable that is too long") { $0.environment["A"] = String(repeating: "x", count: 131_072) },
        Refusal("a variable both open and secret") {
            $0.environment["A"] = "1"
            $0.secretEnvironment["A"] = "2"
        },
        Refusal("negative CPU") { $0.cpuPercent = -1 },
        Refusal("more CPU than there is") { $0.cpuPercent = 201 },
        Refusal("the least CPU there is a number for") { $0.cpuPercent = .min },
        Refusal("negative memory") { $0.memoryMegabytes = -1 },
        Refusal("memory in which nothing runs") { $0.memoryMegabytes = 1 },
        Refusal("more memory than there is") { $0.memoryMegabytes = 4097 },
        Refusal("the most memory there is a number for") { $0.memoryMegabytes = .max },
        Refusal("a name with a newline") { $0.name = "a\nb" },
        Refusal("a name with an escape sequence") { $0.name = "\u{1b}[2J" },
        Refusal("a name with a C1 control") { $0.name = "\u{9b}31m" },
        Refusal("a name that is too long") { $0.name = String(repeating: "é", count: 128) },
        Refusal("too many labels") { request in for n in 0...64 { request.labels["l\(n)"] = "" } },
        Refusal("an empty label") { $0.labels[""] = "x" },
        Refusal("a label with a tab") { $0.labels["a"] = "\t" },
        Refusal("a negative timeout") { $0.timeout = -1 },
        Refusal("a work directory that leaves") { $0.workDirectory = "a/../../etc" },
        Refusal("a work directory with a null byte") { $0.workDirectory = "a\0" },
        Refusal("a work directory that leaves behind a combining mark") { $0.workDirectory = "../\u{301}x" },
        Refusal("a network that does not exist", .unimplemented) { $0.network = "bridge" },
    ]

    @Test(arguments: refusals)
    func `a request that makes no sense is refused`(refusal: Refusal) throws {
        do {
            _ = try specification(refusal.change)
            Issue.record("accepted")
        } catch let error as EngineError {
            #expect(error.code == refusal.code)
            #expect(!error.message.isEmpty)
            #expect(error.message.utf8.count < 400)
        }
    }

    @Test func `what is at a limit is accepted`() throws {
        _ = try specification { $0.arguments = [String(repeating: "x", count: 131_071)] }
        _ = try specification { $0.cpuPercent = 200 }
        _ = try specification { $0.memoryMegabytes = 4096 }
        _ = try specification { $0.memoryMegabytes = 6 }
        _ = try specification { $0.name = String(repeating: "x", count: 255) }
        #expect(try specification { $0.timeout = .max }.timeout == .max)
        #expect(try specification { $0.timeout = 0 }.timeout == nil)
        #expect(try specification({ _ in }, configure: { $0.defaultTimeout = 5 }).timeout == 5)
    }

    @Test func `defaults of the node fill what is not asked for`() throws {
        let made = try specification({ _ in }) {
            $0.defaultCPUPercent = 150
            $0.defaultMemoryMegabytes = 64
            $0.defaultProcesses = 9
            $0.workspaceDirectory = "/work"
        }
        #expect(made.limits.cpuPercent == 150)
        #expect(made.limits.memoryBytes == 64 << 20)
        #expect(made.limits.processes == 9)
        #expect(made.workDirectory == "/work")
        #expect(try specification { $0.workDirectory = "sub" }.workDirectory == "/work/sub")
        #expect(try specification { $0.workDirectory = "/tmp" }.workDirectory == "/tmp")
    }

    @Test func `a network that the node forbids is refused`() throws {
        do {
            _ = try specification({ $0.network = "host" }, configure: { $0.allowsHostNetwork = false })
            Issue.record("accepted")
        } catch let error as EngineError {
            #expect(error.code == .failedPrecondition)
        }
        #expect(try specification { $0.network = "host" }.network == "host")
    }

    @Test func `a secret is neither in the specification nor in the refusal of another value`() throws {
        let made = try specification { $0.secretEnvironment["TOKEN"] = "hunter2" }
        #expect(!String(decoding: try JSONEncoder().encode(made), as: UTF8.self).contains("hunter2"))
        #expect("\(made)".contains("***"))
        do {
            _ = try specification { $0.secretEnvironment = ["TOKEN": "hunter2\0"] }
        } catch let error as EngineError {
            #expect(!error.message.contains("hunter2"))
        }
    }
}
