import Kernel
import Sandbox
import Storage

/// Where jobs get their control groups and how limits are written there.
protocol CgroupDriver: Sendable {
    /// The groups and settings of a job with these limits; throws where one cannot be enforced.
    func plan(for job: JobID, limits: JobLimits) throws(EngineError) -> CgroupPlan

    /// Kills every process of a job that has no supervisor any more and removes its groups.
    ///
    /// Returns false where processes are left; the caller repeats it.
    func destroy(_ job: JobID) -> Bool

    /// Jobs that have a group, from this or an earlier daemon.
    func existing() -> [JobID]

    /// Makes a leaf group for a shim and moves its process there.
    func placeShim(pid: Int32, name: String) throws(SystemCallError)

    /// Removes the daemon's own group, if no job needs it.
    func removeIfEmpty()
}

/// Which control group hierarchy the host has.
public enum CgroupMode: Sendable, Hashable {
    /// One hierarchy (cgroups(7), v2) with controllers.
    case unified
    /// One hierarchy a controller (v1), possibly beside an empty v2 tree.
    case legacy
    /// None that can be used.
    case none
}

/// What the host's control groups offer.
struct CgroupHost {
    /// Mount points by controller; `""` for the unified hierarchy.
    let mounts: [String: String]
    /// The daemon's own group by controller.
    let own: [String: String]

    var mode: CgroupMode {
        if let unified = mounts[""], CgroupHost.controllers(of: unified).contains("memory") { return .unified }
        return mounts["memory"] != nil || mounts["pids"] != nil ? .legacy : .none
    }

    /// Reads `/proc/self/mounts` and `/proc/self/cgroup`.
    static func current() throws(SystemCallError) -> CgroupHost {
        var mounts: [String: String] = [:]
        for line in try readText("/proc/self/mounts").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 4 else { continue }
            if fields[2] == "cgroup2" { mounts[""] = String(fields[1]) }
            if fields[2] == "cgroup" {
                for option in fields[3].split(separator: ",") where names.contains(String(option)) {
                    mounts[String(option)] = String(fields[1])
                }
            }
        }
        var own: [String: String] = [:]
        for line in try readText("/proc/self/cgroup").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for name in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                own[String(name)] = fields[2] == "/" ? "" : String(fields[2])
            }
        }
        return CgroupHost(mounts: mounts, own: own)
    }

    private static let names: Set<String> = ["cpu", "memory", "pids", "cpuset", "blkio", "freezer"]

    /// The group that holds the jobs' ones: the daemon's own, or the one above where an earlier daemon has moved
    /// this process to a leaf.
    static func parent(of own: String) -> String {
        own.hasSuffix("/daemon") ? String(own.dropLast("/daemon".count)) : own
    }

    /// The controllers that a group of the unified hierarchy offers.
    static func controllers(of group: String) -> Set<String> {
        Set(((try? readText("\(group)/cgroup.controllers")) ?? "").split(whereSeparator: \.isWhitespace).map(String.init))
    }
}

/// Kills what is in a group until nothing is left.
enum CgroupProcesses {
    static func list(_ directory: String) -> [Int32] {
        ((try? readText("\(directory)/cgroup.procs")) ?? "").split(separator: "\n").compactMap { Int32($0) }
    }
}
