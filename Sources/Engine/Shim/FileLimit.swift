import CLinux
import Glibc
import Kernel

/// The limit on open files: as high as the host allows for the shim, as it was for the jobs.
///
/// A job takes five descriptors here, so the usual 1,024 would end at some 200 jobs.
struct FileLimit {
    private let soft: UInt64
    private let hard: UInt64

    /// Raises the limit of this process and remembers the old one.
    static func raise() -> FileLimit {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if joblet_set_rlimit(Int32(RLIMIT_NOFILE.rawValue), UInt64(limit.rlim_max), UInt64(limit.rlim_max)) < 0 {
            report("cannot raise the limit on open files")
        }
        return FileLimit(soft: UInt64(limit.rlim_cur), hard: UInt64(limit.rlim_max))
    }

    /// Sets the remembered limit: programs that see a huge one waste time closing descriptors.
    func restore() {
        _ = joblet_set_rlimit(Int32(RLIMIT_NOFILE.rawValue), soft, hard)
    }
}
