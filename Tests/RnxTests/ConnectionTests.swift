import Foundation
import Glibc
import JobletSecurity
import Testing

@testable import rnx

/// What a user is told when no conversation comes about.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ConnectionTests {
    @Test func `A server that is not there is named`() async throws {
        try await withFolder { folder in
            try TestCertificates().configure(folder, port: 1)
            let result = try await Program.run(["list"], in: folder)
            #expect(result.errors == "Error: cannot reach joblet at 127.0.0.1:1: Connection refused\n")
            #expect(result.status == 1)

            let json = try await Program.run(["list", "--json"], in: folder)
            let read = try #require(try JSONSerialization.jsonObject(with: json.output) as? [String: Any])
            #expect(read["code"] as? String == "UNAVAILABLE")
        }
    }

    @Test func `A name that leads nowhere is named`() async throws {
        try await withFolder { folder in
            try TestCertificates().configure(folder, port: 1)
            let result = try await Program.run(["--server", "no-such-host.invalid:1", "list"], in: folder)
            #expect(result.errors.hasPrefix("Error: cannot reach joblet at no-such-host.invalid:1: "))
            #expect(result.errors.split(separator: "\n").count == 1)
        }
    }

    @Test func `A server that accepts and says nothing is given up after ten seconds`() async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> UInt16? in
                guard bind(listener, address, length) == 0, listen(listener, 8) == 0,
                    getsockname(listener, address, &length) == 0
                else { return nil }
                return pointer.pointee.sin_port.bigEndian
            }
        }
        let silent = Int(try #require(port))
        try await withFolder { folder in
            try TestCertificates().configure(folder, port: silent)
            let start = ContinuousClock.now
            async let list = Program.run(["list"], in: folder)
            async let log = Program.run(["log", "x"], in: folder)
            for result in [try await list, try await log] {
                #expect(result.errors.contains("Error: cannot reach joblet at 127.0.0.1:\(silent): no answer"))
                #expect(result.status == 1)
            }
            #expect(ContinuousClock.now - start < .seconds(60))
        }
    }

    @Test func `Certificate problems are named as such`() async throws {
        let certificates = try TestCertificates()
        let year: TimeInterval = 365 * 86400
        try await withServer(ScriptedServer(), certificates: certificates) { folder, port in
            try certificates.configure(folder, port: port, days: 30, issued: Date(timeIntervalSinceNow: -year / 2))
            let expired = try await Program.run(["list"], in: folder)
            #expect(expired.errors.hasPrefix("Error: certificate verify failed: certificate has expired"))
            #expect(expired.status == 1)

            try TestCertificates().configure(folder, port: port)
            let foreign = try await Program.run(["list"], in: folder)
            #expect(foreign.errors.hasPrefix("Error: certificate verify failed: certificate signed by another CA"))

            try certificates.configure(folder, port: port)
            let mixed = folder + "/mixed"
            try FileManager.default.createDirectory(atPath: mixed, withIntermediateDirectories: false)
            let other = try certificates.authority.issueClient(role: .viewer)
            try write(other.key.text, to: folder + "/other-key.pem")
            let mismatch = try await Program.run(["list", "--key", "other-key.pem"], in: folder)
            #expect(mismatch.errors.hasPrefix("Error: certificate verify failed: key does not match certificate"))

            let missing = try await Program.run(["list", "--cert=absent.pem"], in: folder)
            #expect(missing.errors == "Error: certificate file missing: absent.pem\n")

            let garbage = try await Program.run(["list", "--ca", "rnx-config.yml", "--key", "/dev/null"], in: folder)
            #expect(garbage.errors.hasPrefix("Error: malformed "))
            #expect(garbage.errors.split(separator: "\n").count == 1)
        }
    }

    @Test func `A server whose certificate has expired is told from one whose own has not`() async throws {
        let certificates = try TestCertificates()
        let issued = try certificates.authority.issueServer(
            names: SubjectNames(), days: 1, at: Date(timeIntervalSinceNow: -30 * 86400))
        let identity = TLSIdentity(
            certificate: issued.certificatePEM, key: issued.key, authority: certificates.authority.certificatePEM)
        try await withServer(ScriptedServer(), identity: identity) { port in
            try await withFolder { folder in
                try certificates.configure(folder, port: port)
                let result = try await Program.run(["list"], in: folder)
                #expect(result.errors.hasPrefix("Error: certificate verify failed: certificate has expired: joblet"))
            }
        }
    }

    @Test func `Wrong command lines end with 2 and one line`() async throws {
        try await withFolder { folder in
            for line in ["nonsense", "list --bogus", "run", "run --max-cpu x ls", "log", "job cp a b"] {
                let result = try await Program.run(words(line), in: folder)
                #expect(result.status == 2, "\(line)")
                #expect(result.errors.hasPrefix("Error: "), "\(line)")
                #expect(result.errors.split(separator: "\n").count == 1, "\(line)")
                #expect(result.output.isEmpty)
            }
        }
    }

    @Test func `Help, version and config-help need no configuration`() async throws {
        try await withFolder { folder in
            for line in ["", "--help", "help", "help run", "job", "run --help", "config-help", "version", "-v"] {
                let result = try await Program.run(words(line), in: folder)
                #expect(result.status == 0, "\(line)")
                #expect(result.errors == "", "\(line)")
                #expect(!result.output.isEmpty)
            }
            let list = try await Program.run(["list"], in: folder)
            #expect(
                list.errors == """
                    Error: client configuration file not found. Please create rnx-config.yml or specify path with --config

                    """)
        }
    }

    @Test func `An argument that is no text is refused`() async throws {
        try await withFolder { folder in
            let process = Process()
            process.executableURL = URL(filePath: "/bin/bash")
            process.arguments = ["-c", "\(try Program.path) run echo $'\\xff' 2>errors; echo $? >code"]
            process.currentDirectoryURL = URL(filePath: folder)
            try await withCheckedThrowingContinuation { (end: CheckedContinuation<Void, any Error>) in
                process.terminationHandler = { _ in end.resume() }
                do { try process.run() } catch { end.resume(throwing: error) }
            }
            let errors = try String(contentsOfFile: folder + "/errors", encoding: .utf8)
            #expect(errors == "Error: argument 3 is not valid UTF-8\n")
            #expect(try String(contentsOfFile: folder + "/code", encoding: .utf8) == "2\n")
        }
    }
}
