import Glibc
import Kernel
import Sandbox

/// A shim's directory and the process in it.
struct ShimProgram: Sendable, Hashable {
    /// The shim's directory: `control`, `exits`, `root`, `pid`, `program`.
    let directory: String

    var name: String { String(directory.split(separator: "/").last ?? "") }
    var controlPath: String { "\(directory)/control" }
    var exitsPath: String { "\(directory)/exits" }

    /// The shim directories below `runDirectory`, oldest first.
    static func existing(in runDirectory: String) -> [ShimProgram] {
        let numbers = ((try? Directory.names(in: runDirectory)) ?? []).compactMap { name in
            name.hasPrefix("shim-") ? Int(name.dropFirst(5)) : nil
        }
        return numbers.sorted().map { ShimProgram(directory: "\(runDirectory)/shim-\($0)") }
    }

    /// What identifies the program file at `path`: a shim of another file is an older one.
    static func identity(of path: String) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { return "" }
        return "\(status.st_dev):\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }

    /// The identity of the program that runs here.
    var programIdentity: String { (try? readText("\(directory)/program")) ?? "" }

    /// Starts `program` in a new directory below `runDirectory`, in a session of its own.
    ///
    /// The process belongs to nobody: it stays when the daemon goes.
    static func start(_ program: String, in runDirectory: String) throws(SystemCallError) -> (ShimProgram, Int32) {
        let number = (existing(in: runDirectory).last.flatMap { Int($0.name.dropFirst(5)) } ?? 0) + 1
        let shim = ShimProgram(directory: "\(runDirectory)/shim-\(number)")
        try Directory.create(shim.directory)
        let identity = Array(identity(of: program).utf8)
        try FileDescriptor.open("\(shim.directory)/program", flags: O_WRONLY | O_CREAT | O_TRUNC).write(identity, at: 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "\(shim.directory)/log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // glibc's value; the module leaves the macro out.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK) | 0x80)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var pid: pid_t = 0
        var arguments = [strdup(program), strdup("serve"), strdup(shim.directory), nil]
        var environment = [strdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        #if FAILPOINTS
            if let point = getenv("JOBLET_SHIM_FAILPOINT") {
                environment.insert(strdup("JOBLET_FAILPOINT=\(String(cString: point))"), at: 0)
            }
        #endif
        defer {
            for pointer in arguments + environment { free(pointer) }
        }
        let status = posix_spawn(&pid, program, &actions, &attributes, &arguments, &environment)
        guard status == 0 else { throw SystemCallError("start \(program)", code: status) }
        return (shim, pid)
    }

    /// Ends what may be left of a shim that serves no daemon: one that never became ready, or refuses to answer.
    func end() {
        for pid in Processes.all where Processes.arguments(of: pid).dropFirst() == ["serve", directory] {
            kill(pid, SIGKILL)
        }
    }

    /// The exits that the shim recorded, for the time when it is dead.
    func recordedExits() -> [ExitRecord] {
        guard let file = try? FileDescriptor.open(exitsPath, flags: O_RDONLY), let size = try? file.size(),
            let bytes = try? file.read(at: 0, count: size)
        else { return [] }
        return ExitRecord.decode(bytes)
    }
}
