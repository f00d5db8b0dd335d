import CLinux
import Glibc
import Kernel

/// Tries namespaces in short-lived children.
///
/// The daemon has many threads, so a child may only make plain system calls: no memory is asked for and no
/// lock taken between clone3(2) and its end.
enum NamespaceProbe {
    struct Finding {
        let name: String
        let capability: HostCapabilities.Capability
    }

    private static let kinds: [(name: String, flag: UInt32, consequence: String)] = [
        ("user", JOBLET_CLONE_NEWUSER, "jobs would run as the host's root, which is refused"),
        ("pid", JOBLET_CLONE_NEWPID, "no job can start"),
        ("mnt", JOBLET_CLONE_NEWNS, "no job can start"),
        ("ipc", JOBLET_CLONE_NEWIPC, "no job can start"),
        ("uts", JOBLET_CLONE_NEWUTS, "no job can start"),
        ("net", JOBLET_CLONE_NEWNET, "only jobs with network host can start"),
        ("cgroup", JOBLET_CLONE_NEWCGROUP, "no job can start"),
    ]

    static func capabilities() -> [Finding] {
        kinds.map { kind in
            let failure = tryClone(kind.flag)
            return Finding(
                name: kind.name,
                capability: HostCapabilities.Capability(
                    name: "\(kind.name) namespaces", failure: failure, consequence: kind.consequence))
        }
    }

    private static func tryClone(_ flag: UInt32) -> String? {
        var number: Int32 = -1
        let pid = joblet_clone3(UInt64(flag), -1, &number)
        if pid == 0 { _exit(0) }
        guard pid > 0 else { return SystemCallError.message(for: -pid) }
        close(number)
        waitpid(pid, nil, 0)
        return nil
    }

    /// A user namespace with ids mapped as jobs have them; nil where none can be made.
    static func mappedUserNamespace() -> FileDescriptor? {
        var number: Int32 = -1
        let pid = joblet_clone3(UInt64(JOBLET_CLONE_NEWUSER), -1, &number)
        if pid == 0 {
            // Ends with the thread that made it, should that not come to end it.
            _ = joblet_prctl(parentDeathSignal, UInt64(SIGKILL), 0)
            while true { pause() }
        }
        guard pid > 0 else { return nil }
        let holder = FileDescriptor(owning: number)
        defer {
            _ = joblet_pidfd_send_signal(holder.number, SIGKILL)
            waitpid(pid, nil, 0)
        }
        do throws(SystemCallError) {
            try writeControl("/proc/\(pid)/uid_map", "0 268435456 65536")
            try writeControl("/proc/\(pid)/gid_map", "0 268435456 65536")
            return try FileDescriptor.open("/proc/\(pid)/ns/user", flags: O_RDONLY)
        } catch {
            return nil
        }
    }

    /// PR_SET_PDEATHSIG (prctl(2)).
    private static let parentDeathSignal: Int32 = 1
}
