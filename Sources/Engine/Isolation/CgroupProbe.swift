import Glibc
import Kernel

/// Looks at the host's control groups and tries to make one.
struct CgroupProbe {
    let mode: HostCapabilities.CgroupMode
    /// Controllers that can limit a job.
    let usable: Set<String>
    private let reasons: [String: String]

    private static let consequences: [(controller: String, consequence: String)] = [
        ("cpu", "limits of processor time are refused"), ("cpuset", "limits of processor cores are refused"),
        ("memory", "limits of memory are refused"), ("pids", "limits of processes are refused"),
        ("io", "limits of disk operations are refused"),
    ]

    init(root: String = "/sys/fs/cgroup") {
        if let list = try? readText("\(root)/cgroup.controllers") {
            mode = .unified
            let offered = Set(list.split { $0 == " " || $0 == "\n" }.map(String.init))
            let own = root + CgroupProbe.ownPath("")
            let failure = CgroupProbe.tryMake(in: own)
            usable = failure == nil ? offered : []
            reasons = Dictionary(
                uniqueKeysWithValues: CgroupProbe.consequences.map { controller, _ in
                    (controller, failure ?? (offered.contains(controller) ? "v2" : "not among the host's controllers"))
                })
            return
        }
        var usable: Set<String> = []
        var reasons: [String: String] = [:]
        for (controller, _) in CgroupProbe.consequences {
            // The controller of disk operations has another name there.
            let legacy = controller == "io" ? "blkio" : controller
            guard let mount = CgroupProbe.mountPoint(of: legacy) else {
                reasons[controller] = "no hierarchy of v1 is mounted for it"
                continue
            }
            let failure = CgroupProbe.tryMake(in: mount + CgroupProbe.ownPath(legacy))
            if failure == nil { usable.insert(controller) }
            reasons[controller] = failure ?? "v1 at \(mount)"
        }
        mode = usable.isEmpty && !Directory.exists("\(root)/memory") ? .none : .legacy
        self.usable = usable
        self.reasons = reasons
    }

    var capabilities: [HostCapabilities.Capability] {
        let detail =
            switch mode {
            case .unified: "v2"
            case .legacy: "v1; a job is killed through its pid namespace"
            case .none: "none mounted at /sys/fs/cgroup"
            }
        let first = HostCapabilities.Capability(
            name: "control groups", isAvailable: mode != .none, detail: detail,
            consequence: "every limit is refused")
        return [first]
            + CgroupProbe.consequences.map { controller, consequence in
                HostCapabilities.Capability(
                    name: "\(controller) controller", isAvailable: usable.contains(controller),
                    detail: reasons[controller] ?? "", consequence: consequence)
            }
    }

    /// Makes a group and removes it; why that failed, or nil.
    private static func tryMake(in parent: String) -> String? {
        let group = "\(parent)/joblet-probe-\(getpid())"
        guard mkdir(group, 0o755) == 0 else { return SystemCallError.current("mkdir \(group)").description }
        guard rmdir(group) == 0 else { return SystemCallError.current("rmdir \(group)").description }
        return nil
    }

    /// This process's group in the hierarchy of `controller`, the unified one where that is empty.
    private static func ownPath(_ controller: String) -> String {
        for line in ((try? readText("/proc/self/cgroup")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let names = fields[1].split(separator: ",")
            guard controller.isEmpty ? fields[1].isEmpty : names.contains(Substring(controller)) else { continue }
            return fields[2] == "/" ? "" : String(fields[2])
        }
        return ""
    }

    private static func mountPoint(of controller: String) -> String? {
        for line in ((try? readText("/proc/self/mounts")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 3, fields[2] == "cgroup",
                fields[3].split(separator: ",").contains(Substring(controller))
            else { continue }
            return String(fields[1])
        }
        return nil
    }
}
