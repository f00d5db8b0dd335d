import Kernel
import Sandbox
import Storage

/// Where jobs get their control groups and how limits are written there.
protocol CgroupDriver: Sendable {
    /// The groups and settings of a job with these limits; throws where one cannot be enforced.
    func plan(for job: JobID, limits: JobLimits) throws(EngineError) -> CgroupPlan

    /// Where the groups of a job are, whether they exist or not.
    func groups(of job: JobID) -> JobGroups

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

    /// The host of this process.
    static func current() throws(SystemCallError) -> CgroupHost {
        CgroupHost(mounts: try readText("/proc/self/mounts"), own: try readText("/proc/self/cgroup"))
    }

    /// What `/proc/self/mounts` and `/proc/self/cgroup` say (proc(5), cgroups(7)).
    init(mounts table: String, own groups: String) {
        var mounts: [String: String] = [:]
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 4 else { continue }
            let point = CgroupHost.unescaped(fields[1])
            // Where a hierarchy is mounted twice the first place serves.
            if fields[2] == "cgroup2", mounts[""] == nil { mounts[""] = point }
            if fields[2] == "cgroup" {
                for option in fields[3].split(separator: ",").map(String.init)
                where CgroupHost.names.contains(option) && mounts[option] == nil {
                    mounts[option] = point
                }
            }
        }
        var own: [String: String] = [:]
        for line in groups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for name in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                own[String(name)] = fields[2] == "/" ? "" : String(fields[2])
            }
        }
        self.mounts = mounts
        self.own = own
    }

    /// The kernel writes space, tab, newline and backslash of a path as three octal digits.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let names: Set<String> = ["cpu", "cpuacct", "memory", "pids", "cpuset", "blkio", "freezer"]

    /// The group that holds the jobs' ones: the daemon's own, or the one above where an earlier daemon has moved
    /// this process to a leaf.
    static func parent(of own: String) -> String {
        own.hasSuffix("/daemon") ? String(own.dropLast("/daemon".count)) : own
    }

    /// The controllers that a group of the unified hierarchy offers.
    static func controllers(of group: String) -> Set<String> {
        Set(
            ((try? readText("\(group)/cgroup.controllers")) ?? "").split(whereSeparator: \.isWhitespace).map(
                String.init))
    }
}

/// Kills what is in a group until nothing is left.
enum CgroupProcesses {
    static func list(_ directory: String) -> [Int32] {
        ((try? readText("\(directory)/cgroup.procs")) ?? "").split(separator: "\n").compactMap { Int32($0) }
    }
}
