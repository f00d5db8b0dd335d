import Glibc
import Kernel
import Sandbox

/// The shim's part in a job's control groups: made before the child, removed when it is gone.
extension CgroupPlan {
    /// Makes the directories and writes the limits.
    func create() throws(SystemCallError) {
        for directory in directories {
            if mkdir(directory, 0o755) != 0, errno != EEXIST { throw .current("mkdir \(directory)") }
        }
        for setting in settings { try writeControl(setting.path, setting.value) }
    }

    /// Removes the directories; whether all are gone.
    func remove() -> Bool {
        directories.reduce(true) { done, directory in
            (rmdir(directory) == 0 || errno == ENOENT) && done
        }
    }

    /// The processes in the group, as host pids; none where it cannot be read.
    var processes: [Int32] {
        guard let first = directories.first, let text = try? readText("\(first)/cgroup.procs") else { return [] }
        return text.split(separator: "\n").compactMap { Int32($0) }
    }

    /// Whether a process of the group was killed because memory ran out.
    var ranOutOfMemory: Bool {
        guard !outOfMemoryEvents.isEmpty, let text = try? readText(outOfMemoryEvents) else { return false }
        return text.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count == 2 && fields[0] == "oom_kill" && fields[1] != "0"
        }
    }

    /// Whether any process would notice SIGTERM: it catches the signal, blocks it, or waits for it.
    ///
    /// Of very many processes it is taken for granted: to look at all of them would hold up other jobs.
    var handlesTermination: Bool {
        let processes = processes
        return processes.count > JobCgroup.mostLookedAt
            || processes.contains { JobCgroup.catchesTermination($0) || JobCgroup.waitsForSignals($0) }
    }
}

private enum JobCgroup {
    static let mostLookedAt = 256

    static func catchesTermination(_ pid: Int32) -> Bool {
        guard let text = try? readText("/proc/\(pid)/status") else { return false }
        return text.split(separator: "\n").contains { line in
            guard line.hasPrefix("SigCgt:") || line.hasPrefix("SigBlk:"),
                let mask = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16)
            else { return false }
            return mask & 1 << UInt64(SIGTERM - 1) != 0
        }
    }

    /// Whether the process is in sigwait(3): the kernel shows the signals it waits for as not blocked.
    static func waitsForSignals(_ pid: Int32) -> Bool {
        #if arch(x86_64)
            let call = "128 "
        #else
            let call = "137 "
        #endif
        return (try? readText("/proc/\(pid)/syscall"))?.hasPrefix(call) ?? false
    }
}
