import Glibc
import Kernel
import Sandbox
import Storage

/// Hybrid and v1 hosts: one group a job in each controller's hierarchy, below the daemon's own.
struct LegacyCgroups: CgroupDriver {
    /// Limits need the first three; the others only measure.
    private static let controllers = ["pids", "memory", "cpu", "cpuacct", "blkio"]

    private let roots: [String: String]
    private let name: String
    /// Whether memory and swap together have a limit of their own.
    private let limitsSwap: Bool

    /// Groups called `joblet-<name>` in every hierarchy of `host`.
    init(host: CgroupHost, name: String) throws(SystemCallError) {
        self.name = "joblet-\(name)"
        var roots: [String: String] = [:]
        for controller in LegacyCgroups.controllers {
            guard let mount = host.mounts[controller] else { continue }
            let root = "\(mount)\(host.own[controller] ?? "")/\(self.name)"
            // A hierarchy that is mounted read-only, as in many containers, enforces nothing for us.
            guard (try? Directory.create(root, mode: 0o755)) != nil else { continue }
            roots[controller] = root
        }
        self.roots = roots
        limitsSwap = roots["memory"].map { Directory.exists("\($0)/memory.memsw.limit_in_bytes") } ?? false
    }

    private func directory(_ job: JobID, _ controller: String) -> String? {
        roots[controller].map { "\($0)/job-\(job)" }
    }

    func plan(for job: JobID, limits: JobLimits) throws(EngineError) -> CgroupPlan {
        var settings: [CgroupPlan.Setting] = []
        func set(_ file: String, _ value: String, _ controller: String, _ limit: String) throws(EngineError) {
            guard let directory = directory(job, controller) else {
                throw EngineError(
                    .failedPrecondition, "\(limit) cannot be enforced: this host has no \(controller) controller")
            }
            settings.append(.init(path: "\(directory)/\(file)", value: value))
        }
        if limits.cpuPercent > 0 {
            try set("cpu.cfs_period_us", "100000", "cpu", "the CPU limit")
            try set("cpu.cfs_quota_us", "\(Int(limits.cpuPercent) * 1000)", "cpu", "the CPU limit")
        }
        if limits.memoryBytes > 0 {
            try set("memory.limit_in_bytes", "\(limits.memoryBytes)", "memory", "the memory limit")
            if limitsSwap {
                try set("memory.memsw.limit_in_bytes", "\(limits.memoryBytes)", "memory", "the memory limit")
            }
        }
        if limits.processes > 0 { try set("pids.max", "\(limits.processes)", "pids", "the process limit") }
        let memory = directory(job, "memory")
        return CgroupPlan(
            isUnified: false, directories: directories(of: job), settings: settings,
            outOfMemoryEvents: memory.map { "\($0)/memory.oom_control" } ?? "")
    }

    /// One each, also where controllers share a hierarchy, as cpu and cpuacct often do.
    private func directories(of job: JobID) -> [String] {
        var found: [String] = []
        for controller in LegacyCgroups.controllers {
            if let directory = directory(job, controller), !found.contains(directory) { found.append(directory) }
        }
        return found
    }

    func groups(of job: JobID) -> JobGroups { .legacy(roots.mapValues { "\($0)/job-\(job)" }) }

    func destroy(_ job: JobID) -> Bool {
        let directories = directories(of: job).filter { Directory.exists($0) }
        // New children of a process that is being killed are found by the next round.
        for _ in 0..<16 {
            let left = Set(directories.flatMap { CgroupProcesses.list($0) })
            if left.isEmpty { break }
            for pid in left { kill(pid, SIGKILL) }
        }
        return directories.reduce(true) { done, directory in (rmdir(directory) == 0 || errno == ENOENT) && done }
    }

    func existing() -> [JobID] {
        Array(
            Set(
                roots.values.flatMap { (try? Directory.names(in: $0)) ?? [] }.compactMap { name in
                    name.hasPrefix("job-") ? JobID(name.dropFirst(4)) : nil
                }))
    }

    func placeShim(pid: Int32, name: String) throws(SystemCallError) {
        // v1 groups may hold processes beside children, so the shim stays where it is.
    }

    func removeIfEmpty() {
        // Refused while a job is left: the next daemon finds it.
        for root in roots.values { rmdir(root) }
    }
}

/// A host without usable control groups: jobs run, limits are refused.
struct NoCgroups: CgroupDriver {
    func plan(for job: JobID, limits: JobLimits) throws(EngineError) -> CgroupPlan {
        if limits.cpuPercent > 0 || limits.memoryBytes > 0 || limits.processes > 0 {
            throw EngineError(.failedPrecondition, "limits cannot be enforced: this host has no usable control groups")
        }
        return CgroupPlan(isUnified: false, directories: [], settings: [], outOfMemoryEvents: "")
    }

    func groups(of job: JobID) -> JobGroups { .none }
    func destroy(_ job: JobID) -> Bool { true }
    func existing() -> [JobID] { [] }
    func placeShim(pid: Int32, name: String) throws(SystemCallError) {}
    func removeIfEmpty() {}
}
