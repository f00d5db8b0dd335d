import Foundation
import Kernel
import Sandbox
import TestSupport
import Testing

@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct ShimTests {
    @Test func `a job's output and exit code arrive`() throws {
        let shim = try ShimProcess()
        let result = try shim.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
        #expect(String(decoding: result.stdout, as: UTF8.self) == "out\n")
        #expect(String(decoding: result.stderr, as: UTF8.self) == "err\n")
        #expect(result.exit.exitCode == 3)
        #expect(result.exit.signal == 0)
    }

    @Test(arguments: [
        ("no-such-command", 127, "joblet: no-such-command: command not found\n"),
        ("/etc/passwd", 126, "joblet: /etc/passwd: Permission denied\n"),
    ])
    func `a command that cannot be executed is a job that fails`(
        _ command: String, _ code: Int32, _ message: String
    ) throws {
        let shim = try ShimProcess()
        let result = try shim.run([command])
        #expect(result.exit.exitCode == code)
        #expect(String(decoding: result.stderr, as: UTF8.self) == message)
    }
}
