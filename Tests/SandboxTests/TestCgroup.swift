import Glibc
import Kernel
import Sandbox
import TestSupport

/// A job's control groups below the test's own, so that the machine's are left alone.
struct TestCgroup: Sendable {
    /// The largest number of processes; nil for no limit.
    var processes: Int?
    /// The largest amount of memory in bytes; nil for no limit.
    var memory: Int?

    func plan(for job: ShimJob) -> CgroupPlan {
        let name = "joblet-test-\(String(job.high, radix: 16))"
        if Host.hasUnifiedCgroups {
            let group = "\(TestCgroup.own(""))/\(name)"
            var settings: [CgroupPlan.Setting] = []
            if let processes { settings.append(.init(path: "\(group)/pids.max", value: "\(processes)")) }
            if let memory {
                settings.append(.init(path: "\(group)/memory.max", value: "\(memory)"))
                settings.append(.init(path: "\(group)/memory.swap.max", value: "0"))
            }
            return CgroupPlan(
                isUnified: true, directories: [group], settings: settings,
                outOfMemoryEvents: memory == nil ? "" : "\(group)/memory.events")
        }
        var directories = ["\(TestCgroup.own("pids"))/\(name)"]
        var settings: [CgroupPlan.Setting] = []
        if let processes { settings.append(.init(path: "\(directories[0])/pids.max", value: "\(processes)")) }
        var events = ""
        if let memory {
            let group = "\(TestCgroup.own("memory"))/\(name)"
            directories.append(group)
            settings.append(.init(path: "\(group)/memory.limit_in_bytes", value: "\(memory)"))
            events = "\(group)/memory.oom_control"
        }
        return CgroupPlan(isUnified: false, directories: directories, settings: settings, outOfMemoryEvents: events)
    }

    /// Whether limits of processes and memory work below the test's own group.
    static let canLimit: Bool = {
        if Host.hasUnifiedCgroups {
            let enabled = (try? readText("\(own(""))/cgroup.subtree_control")) ?? ""
            return enabled.contains("pids") && enabled.contains("memory")
                || (try? writeControl("\(own(""))/cgroup.subtree_control", "+pids +memory")) != nil
        }
        return ["pids", "memory"].allSatisfy { access("\(own($0))/tasks", W_OK) == 0 }
    }()

    /// The test's own group in the hierarchy of `controller`; of the unified one where that is empty.
    private static func own(_ controller: String) -> String {
        for line in ((try? readText("/proc/self/cgroup")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3,
                fields[1].split(separator: ",").contains(Substring(controller))
                    || controller.isEmpty && fields[1].isEmpty
            else { continue }
            let path = fields[2] == "/" ? "" : String(fields[2])
            return controller.isEmpty ? "/sys/fs/cgroup\(path)" : "/sys/fs/cgroup/\(controller)\(path)"
        }
        return "/sys/fs/cgroup"
    }
}
