import Engine
import Foundation
import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport

/// What is taken away from a sandbox to see an attack succeed.
struct Weakness: OptionSet, Sendable {
    let rawValue: Int

    /// No system call filter.
    static let noFilter = Weakness(rawValue: 1)
    /// All capabilities.
    static let allCapabilities = Weakness(rawValue: 2)
    /// The host's root rather than a user namespace.
    static let hostRoot = Weakness(rawValue: 4)

    static let everything: Weakness = [.noFilter, .allCapabilities, .hostRoot]

    func apply(to plan: inout SandboxPlan) {
        if contains(.noFilter) { plan.seccomp = [] }
        if contains(.hostRoot) { plan.idBase = nil }
        // A user namespace gives all; the host may not have all itself.
        if contains(.allCapabilities) { plan.capabilities = contains(.hostRoot) ? Weakness.hostCapabilities : .max }
    }

    private static let hostCapabilities: UInt64 = {
        let lines = ((try? readText("/proc/self/status")) ?? "").split(separator: "\n")
        let mask = lines.first { $0.hasPrefix("CapEff:") }?.split(separator: "\t").last
        return mask.flatMap { UInt64($0, radix: 16) } ?? 0
    }()
}

extension SandboxPlan {
    private static let filter = Result { try SeccompProfile.default.compiled() }

    /// What a daemon adds to every job's plan.
    mutating func secure() throws {
        seccomp = try SandboxPlan.filter.get()
        capabilities = Capabilities.default(hasOwnNetwork: isolatesNetwork).rawValue
        resourceLimits = ResourceLimits.defaults()
    }
}

/// A program in Python that tries something and prints `done`, or the name of the error it met.
struct Attack: Sendable {
    private static let prelude = """
        import ctypes, errno, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        def call(function, *arguments):
            ctypes.set_errno(0)
            result = function(*arguments)
            if result == -1:
                raise OSError(ctypes.get_errno(), 'call')
            return result
        def syscall(number, *arguments):
            return call(libc.syscall, ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a
                                                              for a in arguments])
        def attack():
        """

    private let body: String

    /// An attack that calls the lines of `body` a success unless they raise an OSError or return a text.
    init(_ body: String) { self.body = body }

    var program: String {
        let lines = body.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }
        return Attack.prelude + "\n" + lines.joined(separator: "\n") + """

            try:
                print(attack() or 'done')
            except OSError as error:
                print(errno.errorcode.get(error.errno, str(error)))
            """
    }

    private func command(_ arguments: [String]) -> [String] { ["/usr/bin/python3", "-c", program] + arguments }

    /// The outcome in a sandbox as jobs have it but for `weakness`.
    func outcome(
        in shim: ShimProcess, without weakness: Weakness = [], arguments: [String] = [],
        cgroup: TestCgroup = TestCgroup(), configure: (inout SandboxPlan) -> Void = { _ in }
    ) throws -> String {
        var failure: (any Error)?
        let result = try shim.run(command(arguments), cgroup: cgroup) { plan in
            configure(&plan)
            do { try plan.secure() } catch { failure = error }
            weakness.apply(to: &plan)
        }
        if let failure { throw failure }
        return Attack.text(result.stdout, result.stderr, "exit \(result.exit.exitCode) signal \(result.exit.signal)")
    }

    /// The outcome on the host, as root, outside every sandbox.
    func outcomeOnHost(arguments: [String] = []) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = Array(command(arguments).dropFirst())
        let (output, errors) = (Foundation.Pipe(), Foundation.Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let error = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Attack.text(Array(text), Array(error), "exit \(process.terminationStatus)")
    }

    private static func text(_ output: [UInt8], _ errors: [UInt8], _ end: String) -> String {
        let text = String(decoding: output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        let error = String(decoding: errors, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? "\(end): \(error)" : text
    }
}

extension ShimProcess {
    /// Runs a job as daemons do, with filter, capabilities and limits; returns its end and both streams as text.
    func runSecured(
        _ arguments: [String], cgroup: TestCgroup = TestCgroup(), configure: (inout SandboxPlan) -> Void = { _ in }
    ) throws -> (exit: ExitRecord, stdout: String, stderr: String) {
        var failure: (any Error)?
        let result = try run(arguments, cgroup: cgroup) { plan in
            configure(&plan)
            do { try plan.secure() } catch { failure = error }
        }
        if let failure { throw failure }
        return (
            result.exit, String(decoding: result.stdout, as: UTF8.self), String(decoding: result.stderr, as: UTF8.self)
        )
    }

    /// Waits until the job's output holds `text`.
    func wait(for text: String, from job: ShimJob, seconds: Int64 = 90) throws {
        let deadline = SystemClock.sinceBoot() + seconds * 1_000_000_000
        while !String(decoding: try output(of: job, .stdout), as: UTF8.self).contains(text) {
            guard SystemClock.sinceBoot() < deadline else { throw SystemCallError("no \(text)", code: ETIMEDOUT) }
            // Nothing tells of growth without a pump client; looked at again after a moment.
            poll(nil, 0, 2)
        }
    }
}
