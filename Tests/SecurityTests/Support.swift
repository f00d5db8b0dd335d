import Foundation
import JobletSecurity
import Testing

/// Runs `body` with the path of a new folder that is removed afterwards.
func withTemporaryFolder<T>(_ body: (String) async throws -> T) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appending(path: "joblet-security-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer {
        do {
            try FileManager.default.removeItem(at: folder)
        } catch {
            Issue.record(error)
        }
    }
    return try await body(folder.path)
}

/// What a command printed and how it ended.
struct CommandResult {
    let status: Int32
    let output: String
}

/// Runs a command to its end; output and errors come together.
func run(_ command: String...) async throws -> CommandResult {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.standardInput = FileHandle.nullDevice
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    // Reading to the end blocks, which the threads of the test must not.
    async let output = withCheckedContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(returning: pipe.fileHandleForReading.readDataToEndOfFile())
        }
    }
    let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do {
            try process.run()
        } catch {
            continuation.resume(throwing: error)
        }
    }
    return CommandResult(status: status, output: String(decoding: await output, as: UTF8.self))
}

/// The permission bits of a file or folder.
func mode(_ path: String) throws -> Int {
    try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber).intValue
}

extension TLSIdentity {
    /// An issued certificate as an identity that trusts `authority`.
    init(_ issued: IssuedCertificate, trusting authority: CertificateAuthority) {
        self.init(certificate: issued.certificatePEM, key: issued.key, authority: authority.certificatePEM)
    }
}

/// A number of days before now.
func daysAgo(_ days: Int) -> Date {
    Date(timeIntervalSinceNow: -Double(days) * 86400)
}

/// PEM text around these bytes.
func pemCertificate(_ der: Data) -> String {
    let base64 = der.base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
    return "-----BEGIN CERTIFICATE-----\n\(base64)\n-----END CERTIFICATE-----\n"
}

/// The bytes of the only block of a PEM text.
func derBytes(_ pem: String) throws -> Data {
    try #require(Data(base64Encoded: pem.split(separator: "\n").dropFirst().dropLast().joined()))
}
