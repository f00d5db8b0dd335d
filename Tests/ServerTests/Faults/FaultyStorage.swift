import AWSSupport
import Foundation
import Synchronization
import TestSupport
import Testing

/// What keeps output and what keeps job records.
enum BackendPair: String, CaseIterable, CustomTestStringConvertible {
    case cloud = "s3+dynamodb"
    case localGzip = "local-gzip+sqlite"
    case sqlite

    var testDescription: String { rawValue }

    /// Makes the place for the stores.
    func makeStorage() throws -> any FaultyStorage {
        switch self {
        case .localGzip: try LocalStorage(logs: "local-gzip")
        case .sqlite: try LocalStorage(logs: "sqlite")
        case .cloud: try CloudStorage()
        }
    }
}

/// The place of a daemon's stores, and the ways in which it fails.
protocol FaultyStorage: Sendable {
    /// The configuration that puts the stores there.
    var settings: [String: String] { get }
    /// The environment of their programs.
    var environment: [String: String] { get }

    /// Begins one of its outages and returns its name.
    func beginOutage(_ generator: inout SeededGenerator) throws -> String
    /// Ends the outage.
    func endOutage() throws
}

/// Stores in files, on a disk that is full now and then.
private struct LocalStorage: FaultyStorage {
    private let disk: SmallDisk
    let settings: [String: String]
    let environment: [String: String] = [:]

    init(logs: String) throws {
        disk = try SmallDisk(megabytes: 512)
        settings = [
            "storage.logs.backend": logs, "storage.logs.directory": "\(disk.path)/logs",
            "storage.metrics.backend": logs, "storage.metrics.directory": "\(disk.path)/metrics",
            "storage.state.backend": "sqlite", "storage.state.path": "\(disk.path)/state/jobs.db",
        ]
    }

    func beginOutage(_ generator: inout SeededGenerator) throws -> String {
        try disk.fill()
        return "full disk"
    }

    func endOutage() throws { try disk.empty() }
}

/// Output in S3 and records in DynamoDB, as moto's server speaks them.
private struct CloudStorage: FaultyStorage {
    private let cloud: FaultyCloud
    let settings: [String: String]
    let environment = [
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
    ]

    init() throws {
        cloud = try FaultyCloud()
        let endpoint = "\"\(cloud.endpoint)\""
        settings = [
            "storage.logs.backend": "s3", "storage.logs.s3.bucket": "logs", "storage.logs.s3.endpoint": endpoint,
            "storage.logs.s3.createBucket": "true", "storage.metrics.backend": "s3",
            "storage.state.backend": "dynamodb",
            "storage.state.dynamodb.endpoint": endpoint, "storage.state.dynamodb.createTable": "true",
        ]
    }

    func beginOutage(_ generator: inout SeededGenerator) throws -> String {
        let outage = FaultyCloud.Outage.allCases.randomElement(using: &generator) ?? .cut
        cloud.begin(outage)
        return outage.rawValue
    }

    func endOutage() throws { try cloud.end() }
}

/// A small file system in memory that can be filled up.
///
/// A shell owns it and unmounts it when the test says so, or is gone.
private final class SmallDisk: Sendable {
    let path: String
    private let directory: TemporaryDirectory
    private let shell: Mutex<(process: Process, input: Pipe)>

    init(megabytes: Int) throws {
        directory = try TemporaryDirectory(name: "joblet-disk")
        path = "\(directory.path)/disk"
        let (process, input, output) = (Process(), Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
        process.arguments = [
            "-c",
            "mkdir disk && mount -t tmpfs -o size=\(megabytes)m none disk && echo ok; read -r end; umount -l disk",
        ]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        shell = Mutex((process, input))
        try #require(output.fileHandleForReading.availableData == Data("ok\n".utf8), "no tmpfs")
    }

    /// Leaves no room for anything.
    func fill() throws {
        let file = open("\(path)/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(file >= 0, "filler: \(String(cString: strerror(errno)))")
        defer { close(file) }
        for size in [1 << 20, 4 << 10] {
            let block = [UInt8](repeating: 0, count: size)
            while write(file, block, size) > 0 {}
        }
    }

    /// Gives the room back.
    func empty() throws { try FileManager.default.removeItem(atPath: "\(path)/filler") }

    deinit {
        shell.withLock { shell in
            try? shell.input.fileHandleForWriting.write(contentsOf: Data("end\n".utf8))
            shell.process.waitUntilExit()
        }
    }
}
