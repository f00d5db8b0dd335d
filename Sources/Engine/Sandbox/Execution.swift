import CLinux
import Glibc
import Kernel

/// The last step of a child: from the sandbox to the program.
struct Execution {
    /// Where the marker byte goes; closed by the execution.
    static let statusDescriptor: Int32 = 3
    /// The init program, where one was asked for.
    static let initDescriptor: Int32 = 4

    let plan: SandboxPlan

    /// Executes the plan's program; ends the process with 127 where there is none, 126 where it cannot run.
    func run() -> Never {
        var pointers = plan.arguments.map { strdup($0) }
        pointers.append(nil)
        var environment = plan.environment.map { strdup($0) }
        environment.append(nil)
        guard let name = plan.arguments.first else { Execution.fail(127, "no command", EINVAL) }
        if plan.usesInit {
            var arguments = [strdup(InitProcess.name)] + pointers
            let status = joblet_execveat(Execution.initDescriptor, "", &arguments, &environment, JOBLET_AT_EMPTY_PATH)
            Execution.fail(126, "init", -status)
        }
        Execution.execute(name, &pointers, &environment, path: searchPath)
    }

    private var searchPath: String {
        plan.environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? "/usr/bin:/bin"
    }

    /// Looks `name` up as a shell would and executes the first file that can be.
    static func execute(
        _ name: String, _ arguments: inout [UnsafeMutablePointer<CChar>?],
        _ environment: inout [UnsafeMutablePointer<CChar>?], path: String
    ) -> Never {
        if name.contains("/") {
            execve(name, &arguments, &environment)
            let code = errno
            fail(code == ENOENT || code == ENOTDIR ? 127 : 126, name, code)
        }
        var denied: Int32 = 0
        for directory in path.split(separator: ":") {
            execve("\(directory)/\(name)", &arguments, &environment)
            if errno != ENOENT, errno != ENOTDIR { denied = errno }
        }
        if denied != 0 { fail(126, name, denied) }
        fail(127, name, ENOENT)
    }

    /// Says on standard error what could not be executed, and ends the process.
    static func fail(_ status: Int32, _ what: String, _ code: Int32) -> Never {
        let reason = status == 127 && code == ENOENT ? "command not found" : SystemCallError.message(for: code)
        let line = "joblet: \(what): \(reason)\n"
        _ = line.withCString { write(2, $0, strlen($0)) }
        _exit(status)
    }
}
