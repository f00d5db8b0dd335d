import ArgumentParser
import Foundation
import Glibc
import Testing

@testable import rnx

/// Runs `body` with the path of a new folder that is removed afterwards.
func withFolder<T>(_ body: (String) async throws -> T) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appending(path: "rnx-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer {
        do {
            try FileManager.default.removeItem(atPath: folder)
        } catch {
            Issue.record(error)
        }
    }
    return try await body(folder)
}

/// Writes a file, with the folders on the way to it.
func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
    let folder = URL(filePath: path).deletingLastPathComponent().path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: path))
    try #require(chmod(path, mode) == 0)
}

func mode(_ path: String) throws -> mode_t {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return mode_t(try #require(attributes[.posixPermissions] as? NSNumber).uint32Value)
}

/// The command that a command line stands for.
func parse<Command: ParsableCommand>(_ line: [String], as: Command.Type = Command.self) throws -> Command {
    try #require(try RootCommand.parseAsRoot(ArgumentOrder(line).arguments) as? Command)
}

/// Words of a command line without quotes.
func words(_ line: String) -> [String] {
    line.split(separator: " ").map(String.init)
}

/// What a program printed and how it ended.
struct ProgramResult {
    let status: Int32
    let output: Data
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
}

/// The program itself, run as a process of its own.
enum Program {
    /// Beside the test bundle.
    static var path: String {
        get throws {
            let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(filePath: bundle).deletingLastPathComponent().appending(path: "rnx").path
        }
    }

    /// Runs `rnx` in a folder to its end, with nothing of this process's environment but PATH.
    static func run(
        _ arguments: [String], in folder: String, environment: [String: String] = [:],
        started: (Process) -> Void = { _ in }
    ) async throws -> ProgramResult {
        let process = Process()
        process.executableURL = URL(filePath: try path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: folder)
        process.environment = ["HOME": folder, "TZ": "UTC"].merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        async let outputBytes = contents(output)
        async let errorBytes = contents(errors)
        let status = try await withCheckedThrowingContinuation { (end: CheckedContinuation<Int32, any Error>) in
            process.terminationHandler = { process in
                let isSignal = process.terminationReason == .uncaughtSignal
                end.resume(returning: isSignal ? -process.terminationStatus : process.terminationStatus)
            }
            do {
                try process.run()
                started(process)
            } catch {
                end.resume(throwing: error)
            }
        }
        return ProgramResult(
            status: status, output: await outputBytes, errors: String(decoding: await errorBytes, as: UTF8.self))
    }

    /// Reading to the end blocks, which the threads of the tests must not.
    private static func contents(_ pipe: Pipe) async -> Data {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(returning: pipe.fileHandleForReading.readDataToEndOfFile())
            }
        }
    }
}
