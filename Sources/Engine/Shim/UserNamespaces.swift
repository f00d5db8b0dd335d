import CLinux
import Glibc
import Kernel

/// User namespaces with a range of 65,536 host ids mapped, kept for the next job with the same range.
///
/// Making one costs 230 µs, entering it 5.
struct UserNamespaces {
    private static let limit = 256
    private var cache: [UInt32: FileDescriptor] = [:]

    /// The namespace in which id 0 is the host's `base`.
    mutating func namespace(base: UInt32) throws(SystemCallError) -> FileDescriptor {
        if let known = cache[base] { return known }
        if cache.count >= UserNamespaces.limit { cache.removeAll() }
        let made = try UserNamespaces.make(base: base)
        cache[base] = made
        return made
    }

    private static func make(base: UInt32) throws(SystemCallError) -> FileDescriptor {
        var number: Int32 = -1
        let shim = getpid()
        let pid = try check(
            joblet_clone3(UInt64(JOBLET_CLONE_NEWUSER), -1, &number), "clone a user namespace")
        if pid == 0 {
            // Only holds the namespace until its maps are written and a descriptor of it is open,
            // and not longer than the shim lives, which may have ended before it could be said.
            _ = joblet_prctl(JOBLET_PR_SET_PDEATHSIG, UInt64(SIGKILL), 0)
            if getppid() != shim { _exit(0) }
            while true { pause() }
        }
        let holder = FileDescriptor(owning: number)
        defer {
            _ = joblet_pidfd_send_signal(holder.number, SIGKILL)
            waitpid(pid, nil, 0)
        }
        try writeControl("/proc/\(pid)/uid_map", "0 \(base) 65536")
        try writeControl("/proc/\(pid)/gid_map", "0 \(base) 65536")
        return try FileDescriptor.open("/proc/\(pid)/ns/user", flags: O_RDONLY)
    }
}
