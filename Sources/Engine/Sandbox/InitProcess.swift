import Glibc

/// The reaping init of `--init`: PID 1 that starts the job, passes signals on and collects orphans.
public enum InitProcess {
    /// The name under which the shim's program runs as init.
    public static let name = "joblet-init"

    nonisolated(unsafe) private static var child: pid_t = 0

    /// Runs the command in `arguments` and ends with its status; 128 + n where signal n ended it.
    public static func run(_ arguments: [String]) -> Never {
        var forwarded = sigset_t()
        sigfillset(&forwarded)
        for signal in [SIGCHLD, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT] { sigdelset(&forwarded, signal) }
        // Blocked until the child exists, so that none is passed on to nobody.
        var before = sigset_t()
        sigprocmask(SIG_BLOCK, &forwarded, &before)
        child = fork()
        if child == 0 {
            sigprocmask(SIG_SETMASK, &before, nil)
            setpgid(0, 0)
            var pointers = arguments.map { strdup($0) }
            pointers.append(nil)
            var environment: [UnsafeMutablePointer<CChar>?] = []
            var entry = environ
            while let variable = entry.pointee {
                environment.append(variable)
                entry += 1
            }
            environment.append(nil)
            let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
            Execution.execute(arguments.first ?? "", &pointers, &environment, path: path)
        }
        if child < 0 { Execution.fail(126, "init", errno) }
        for signal in 1..<Int32(NSIG) where sigismember(&forwarded, signal) == 1 {
            // SIGKILL and SIGSTOP are refused here, and nobody can send them to PID 1 from inside.
            Glibc.signal(signal) { kill(InitProcess.child, $0) }
        }
        sigprocmask(SIG_SETMASK, &before, nil)
        while true {
            var status: Int32 = 0
            let ended = wait(&status)
            if ended == child {
                // The kernel ends whatever else is left in the namespace with its PID 1.
                _exit(status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f)
            }
            if ended < 0, errno == ECHILD { _exit(0) }
        }
    }
}
