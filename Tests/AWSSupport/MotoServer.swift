package import CloudBackends
import Foundation
import Synchronization

/// moto's server as a process of its own: it speaks S3, DynamoDB, STS and IAM like AWS.
///
/// The process ends with the test program, however that ends: it reads a pipe that only the test program holds.
package final class MotoServer: Sendable {
    /// Why the server is not there.
    package struct NotStarted: Error, CustomStringConvertible {
        /// What was found instead.
        package let description: String
    }

    /// `http://127.0.0.1:<port>`, or `https`.
    package let endpoint: String
    /// The port on the loopback interface.
    package let port: UInt16
    private let process: Mutex<Process>
    private let input: Pipe

    /// The server that most tests share, each with names of its own.
    package static let shared = Result { try MotoServer() }

    /// Starts a server on a free port, with TLS where there is a certificate, and returns when it listens.
    package init(certificate: (path: String, key: String)? = nil) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let python = "\(root)/.venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw NotStarted(description: "\(python) is missing: run make setup")
        }
        let script = """
            import os, sys, threading
            threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
            from moto.server import main
            main(["-H", "127.0.0.1", "-p", "0"] + sys.argv[1:])
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["-c", script] + (certificate.map { ["-s", "-c", $0.path, "-k", $0.key] } ?? [])
        input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        self.process = Mutex(process)
        port = try Self.port(in: output.fileHandleForReading)
        endpoint = "\(certificate == nil ? "http" : "https")://127.0.0.1:\(port)"
    }

    // It does not hear SIGTERM: the signals that its parent blocks stay blocked.
    deinit { process.withLock { _ = kill($0.processIdentifier, SIGKILL) } }

    /// The configuration of a client that this server answers.
    package func configuration(_ change: (inout AWSConfiguration) -> Void = { _ in }) -> AWSConfiguration {
        AWSConfiguration.test(endpoint: endpoint, change)
    }

    /// What the server answers to a GET that is not signed.
    package func get(_ path: String) async throws -> String {
        let reply = try await HTTPClient().send(HTTPRequest("GET", endpoint + path))
        return String(decoding: reply.body, as: UTF8.self)
    }

    /// From here on every request must be signed by a user's key, which is returned.
    package func requireSignatures(_ http: HTTPClient) async throws -> Credentials {
        let iam = AWSService("iam", configuration(), http: http)
        func call(_ form: [(String, String)]) async throws -> String {
            let body = (form + [("Version", "2010-05-08")]).map { "\($0.0)=\(AWSRequest.encode($0.1))" }
            let reply = try await iam.call(
                AWSRequest(
                    "POST", "/", headers: [HTTPHeader("Content-Type", "application/x-www-form-urlencoded")],
                    body: Array(body.joined(separator: "&").utf8)))
            return String(decoding: reply.body, as: UTF8.self)
        }
        let policy = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#
        _ = try await call([("Action", "CreateUser"), ("UserName", "joblet")])
        _ = try await call([
            ("Action", "PutUserPolicy"), ("UserName", "joblet"), ("PolicyName", "all"), ("PolicyDocument", policy),
        ])
        let key = try await call([("Action", "CreateAccessKey"), ("UserName", "joblet")])
        func text(_ name: String) throws -> String {
            guard let start = key.range(of: "<\(name)>"), let end = key.range(of: "</\(name)>") else {
                throw NotStarted(description: "no \(name) in \(key)")
            }
            return String(key[start.upperBound..<end.lowerBound])
        }
        let reply = try await http.send(HTTPRequest("POST", endpoint + "/moto-api/reset-auth", body: Array("0".utf8)))
        guard reply.status == 200 else { throw NotStarted(description: "reset-auth answered \(reply.status)") }
        return Credentials(
            accessKeyID: try text("AccessKeyId"), secretAccessKey: Secret(try text("SecretAccessKey")))
    }

    /// The port in the line that says where the server listens; the rest of the output is read and dropped.
    private static func port(in handle: FileHandle) throws -> UInt16 {
        var output = ""
        while true {
            let data = handle.availableData
            guard !data.isEmpty else { throw NotStarted(description: output) }
            output += String(decoding: data, as: UTF8.self)
            guard let line = output.range(of: "://127.0.0.1:"),
                let end = output[line.upperBound...].firstIndex(where: \.isNewline),
                let port = UInt16(output[line.upperBound..<end])
            else { continue }
            Thread.detachNewThread { while !handle.availableData.isEmpty {} }
            return port
        }
    }
}

extension AWSConfiguration {
    /// The configuration of a client under test: no environment, short pauses.
    package static func test(
        endpoint: String?, _ change: (inout AWSConfiguration) -> Void = { _ in }
    ) -> AWSConfiguration {
        var configuration = AWSConfiguration(region: "us-east-1", endpoint: endpoint)
        configuration.credentials = Credentials(accessKeyID: "test", secretAccessKey: Secret("test"))
        configuration.retry = RetryPolicy(attempts: 5, base: 2, throttledBase: 4, cap: 50)
        configuration.environment = { _ in nil }
        change(&configuration)
        return configuration
    }
}
