import Glibc
import Kernel
public import Sandbox

/// The limits of setrlimit(2) that every job starts with.
///
/// They are a job's own hygiene; what protects the host are its control groups.
public enum ResourceLimits {
    /// The numbers of the kernel (asm-generic/resource.h), which the plan carries.
    private enum Number {
        static let core: Int32 = 4
        static let processes: Int32 = 6
        static let openFiles: Int32 = 7
        static let lockedMemory: Int32 = 8
        static let niceness: Int32 = 13
        static let realTimePriority: Int32 = 14
    }

    private static let unlimited = UInt64.max

    /// The limits for jobs on this host.
    ///
    /// Where this process could not raise a limit, it is asked for no more than the host allows: the shim, which
    /// has the same rights, would fail to set it.
    public static func defaults() -> [SandboxPlan.ResourceLimit] {
        defaults(
            mayRaise: ProcessCapabilities.current.contains(.resource), largestTable: largestDescriptorTable(),
            hardLimit: currentHardLimit)
    }

    static func defaults(
        mayRaise: Bool, largestTable: UInt64, hardLimit: (Int32) -> UInt64
    ) -> [SandboxPlan.ResourceLimit] {
        let wanted: [(resource: Int32, soft: UInt64, hard: UInt64)] = [
            // 1024, since select(2) breaks above it; programs that know better raise it themselves.
            (Number.openFiles, 1024, min(1 << 20, largestTable)),
            // A core would fill the work directory with what nobody can fetch.
            (Number.core, 0, 0),
            // The pids controller counts the job's processes; this counts all of one user.
            (Number.processes, unlimited, unlimited),
            (Number.lockedMemory, 64 << 10, 64 << 10),
            (Number.niceness, 0, 0),
            (Number.realTimePriority, 0, 0),
        ]
        return wanted.map { limit in
            let hard = mayRaise ? limit.hard : min(limit.hard, hardLimit(limit.resource))
            return SandboxPlan.ResourceLimit(resource: limit.resource, soft: min(limit.soft, hard), hard: hard)
        }
    }

    private static func largestDescriptorTable() -> UInt64 {
        let text = (try? readText("/proc/sys/fs/nr_open")) ?? ""
        return text.split(separator: "\n").first.flatMap { UInt64($0) } ?? 1 << 20
    }

    private static func currentHardLimit(_ resource: Int32) -> UInt64 {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 0 }
        return UInt64(limit.rlim_max)
    }
}

/// The capabilities that this process has.
struct ProcessCapabilities: OptionSet {
    let rawValue: UInt64

    /// CAP_SYS_RESOURCE.
    static let resource = ProcessCapabilities(rawValue: 1 << 24)

    /// The effective set, as /proc/self/status shows it; empty where it cannot be read.
    static var current: ProcessCapabilities {
        let lines = ((try? readText("/proc/self/status")) ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("CapEff:") }
        let mask = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) }
        return ProcessCapabilities(rawValue: mask ?? 0)
    }
}
