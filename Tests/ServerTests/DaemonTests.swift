import DaemonSupport
import Foundation
import GRPCCore
import TestSupport
import Testing

/// The daemon's program, called over mutual TLS. One after another: two processors carry one daemon under load.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized, .timeLimit(.minutes(10)))
struct DaemonTests {}

/// Runs one daemon for all tests of a suite.
struct SharedDaemon: SuiteTrait, TestScoping {
    @TaskLocal private static var daemon: DaemonProcess?

    let settings: [String: String]

    /// The daemon of the suite that runs.
    static var current: DaemonProcess {
        get throws { try #require(daemon) }
    }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await DaemonProcess.run(settings) { daemon in
            try await SharedDaemon.$daemon.withValue(daemon) { try await function() }
        }
    }
}

extension Trait where Self == SharedDaemon {
    /// One daemon with these settings for all tests of the suite.
    static func daemon(_ settings: [String: String] = [:]) -> Self { SharedDaemon(settings: settings) }
}

/// Expects the call to be refused with exactly this code and text.
func expectRefusal<Value: Sendable>(
    _ code: RPCError.Code, _ message: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ call: () async throws -> Value
) async {
    do {
        let value = try await call()
        Issue.record("not refused: \(value)", sourceLocation: sourceLocation)
    } catch let error as RPCError {
        #expect(error.code == code, sourceLocation: sourceLocation)
        #expect(error.message == message, sourceLocation: sourceLocation)
    } catch {
        Issue.record("\(error)", sourceLocation: sourceLocation)
    }
}

/// The highest CPU limit of this host, in percent of one processor.
let allProcessors = Int32(100 * ProcessInfo.processInfo.processorCount)

/// The names of what is in a directory; none where there is no such directory.
func names(in directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
}

/// Looks at `condition` until it holds, for two minutes; for what no call and no event tells.
func holds(_ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(120)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        // What is looked for needs the processors more than the look does.
        try? await Task.sleep(for: .milliseconds(2))
    }
    return try await condition()
}
