import CLinux
import Glibc
import Kernel
import Sandbox

// The program has three faces: the shim itself, its pump, and the init of `--init` jobs.
let arguments = CommandLine.arguments
if arguments.first == InitProcess.name {
    InitProcess.run(Array(arguments.dropFirst()))
}
_ = joblet_prctl(JOBLET_PR_SET_DUMPABLE, 0, 0)
takeSignals()
do {
    switch arguments.count > 1 ? arguments[1] : "" {
    case "serve" where arguments.count == 3:
        // The daemon that started us may have sockets open that are not close-on-exec: a copy kept here would
        // hold its port and its clients' connections after its end.
        joblet_close_range(3, UInt32.max, 0)
        try Shim(directory: arguments[2]).run()
    case "pump" where arguments.count == 2:
        try PumpProcess(control: FileDescriptor(owning: PumpProcess.controlDescriptor)).run()
    default:
        report("usage: joblet-shim serve DIRECTORY")
        exit(2)
    }
} catch {
    report("\(error)")
    exit(1)
}

/// Leaves every signal unblocked and at its default, whatever the starter did, since jobs inherit it: one that
/// was started from a thread that blocks SIGTERM could not be asked to stop.
func takeSignals() {
    joblet_reset_signals()
    // The other end of a socket may go at any time.
    signal(SIGPIPE, SIG_IGN)
}

/// Writes a line about the program itself to standard error.
func report(_ message: String) {
    let line = "joblet-shim[\(getpid())]: \(message)\n"
    _ = line.withCString { write(2, $0, strlen($0)) }
}
