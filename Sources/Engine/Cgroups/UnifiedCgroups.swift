import Glibc
import Kernel
import Sandbox
import Storage

/// The unified hierarchy: one group a job below a group of the daemon's own.
struct UnifiedCgroups: CgroupDriver {
    private static let wanted = ["cpu", "memory", "pids", "io", "cpuset"]
    private let base: String
    private let controllers: Set<String>

    /// Makes `base` and hands it the controllers of `parent`.
    ///
    /// A group with controllers for its children may hold no processes of its own (cgroups(7)), so the parent's
    /// move to a leaf beside `base`; the root of the hierarchy is free of that rule.
    init(parent: String, base: String, isRoot: Bool) throws(SystemCallError) {
        self.base = base
        try Directory.create(base, mode: 0o755)
        if !isRoot {
            try Directory.create("\(parent)/daemon", mode: 0o755)
            for pid in CgroupProcesses.list(parent) {
                do throws(SystemCallError) {
                    try writeControl("\(parent)/daemon/cgroup.procs", "\(pid)")
                } catch {
                    // It ended meanwhile.
                    guard error.code == ESRCH else { throw error }
                }
            }
        }
        let offered = CgroupHost.controllers(of: parent)
        var enabled: Set<String> = []
        for name in UnifiedCgroups.wanted where offered.contains(name) {
            // One at a time: one that is refused must not take the others with it.
            guard (try? writeControl("\(parent)/cgroup.subtree_control", "+\(name)")) != nil,
                (try? writeControl("\(base)/cgroup.subtree_control", "+\(name)")) != nil
            else { continue }
            enabled.insert(name)
        }
        controllers = enabled
    }

    private func directory(_ job: JobID) -> String { "\(base)/job-\(job)" }

    func plan(for job: JobID, limits: JobLimits) throws(EngineError) -> CgroupPlan {
        let directory = directory(job)
        var settings: [CgroupPlan.Setting] = []
        func set(_ file: String, _ value: String, _ controller: String, _ limit: String) throws(EngineError) {
            guard controllers.contains(controller) else {
                throw EngineError(
                    .failedPrecondition,
                    "\(limit) cannot be enforced: the \(controller) controller is not available below \(base)")
            }
            settings.append(.init(path: "\(directory)/\(file)", value: value))
        }
        if limits.cpuPercent > 0 {
            try set("cpu.max", "\(Int(limits.cpuPercent) * 1000) 100000", "cpu", "the CPU limit")
        }
        if limits.memoryBytes > 0 {
            try set("memory.max", "\(limits.memoryBytes)", "memory", "the memory limit")
            try set("memory.oom.group", "1", "memory", "the memory limit")
            // Without swap accounting there is no swap to escape to either.
            if Directory.exists("\(base)/memory.swap.max") {
                try set("memory.swap.max", "0", "memory", "the memory limit")
            }
        }
        if limits.processes > 0 { try set("pids.max", "\(limits.processes)", "pids", "the process limit") }
        return CgroupPlan(
            isUnified: true, directories: [directory], settings: settings,
            outOfMemoryEvents: controllers.contains("memory") ? "\(directory)/memory.events" : "")
    }

    func groups(of job: JobID) -> JobGroups { .unified(directory(job)) }

    func destroy(_ job: JobID) -> Bool {
        let directory = directory(job)
        if !Directory.exists(directory) { return true }
        if (try? writeControl("\(directory)/cgroup.kill", "1")) == nil {
            for pid in CgroupProcesses.list(directory) { kill(pid, SIGKILL) }
        }
        return rmdir(directory) == 0 || errno == ENOENT
    }

    func existing() -> [JobID] {
        ((try? Directory.names(in: base)) ?? []).compactMap { name in
            name.hasPrefix("job-") ? JobID(name.dropFirst(4)) : nil
        }
    }

    func placeShim(pid: Int32, name: String) throws(SystemCallError) {
        try Directory.create("\(base)/\(name)", mode: 0o755)
        try writeControl("\(base)/\(name)/cgroup.procs", "\(pid)")
    }

    func removeIfEmpty() {
        // Refused while a job or a shim is left: the next daemon finds it.
        for name in (try? Directory.names(in: base)) ?? [] where name.hasPrefix("shim-") { rmdir("\(base)/\(name)") }
        rmdir(base)
    }
}
