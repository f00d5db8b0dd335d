import Foundation
import Glibc
import TestSupport

/// What a daemon started and left on the host: supervisors, control groups, and the processes in them.
public struct DaemonRemains: Sendable {
    private let directory: String
    private let runDirectory: String
    private let groupRoots: [String]

    /// What belongs to the daemon with its files in `directory`; `groupRoots` hold its jobs' groups.
    init(directory: String, runDirectory: String, groupRoots: [String]) {
        self.directory = directory
        self.runDirectory = runDirectory
        self.groupRoots = groupRoots
    }

    /// The daemon's supervisors.
    public var shims: [Int32] {
        DaemonRemains.processes { pid in
            let words = DaemonRemains.commandLine(of: pid)
            return words.count == 3 && words[1] == "serve" && words[2].hasPrefix(runDirectory + "/")
        }
    }

    /// The pumps that write to the daemon's outbox, also those whose supervisor is gone.
    public var pumps: [Int32] {
        DaemonRemains.processes { pid in
            DaemonRemains.commandLine(of: pid) == ["joblet-shim", "pump"]
                && DaemonRemains.openFiles(of: pid).contains { $0.hasPrefix(directory + "/") }
        }
    }

    /// The control groups of jobs.
    public var groups: [String] {
        groupRoots.flatMap { root in
            ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [])
                .filter { $0.hasPrefix("job-") }.map { "\(root)/\($0)" }
        }
    }

    /// The processes of jobs.
    public var jobProcesses: [Int32] {
        let texts = groups.compactMap { try? String(contentsOfFile: "\($0)/cgroup.procs", encoding: .utf8) }
        return Array(Set(texts.flatMap { $0.split(separator: "\n").compactMap { Int32($0) } }))
    }

    /// Kills and removes all of it; whether nothing is left.
    func removeAll() -> Bool {
        for pid in shims + pumps { kill(pid, SIGKILL) }
        return eventually {
            for pid in jobProcesses + shims + pumps { kill(pid, SIGKILL) }
            for group in groups { rmdir(group) }
            guard groups.isEmpty, shims.isEmpty, pumps.isEmpty else { return false }
            for root in groupRoots { rmdir(root) }
            return true
        }
    }

    private static func processes(_ isWanted: (Int32) -> Bool) -> [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }.filter(
            isWanted)
    }

    private static func commandLine(of pid: Int32) -> [String] {
        guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return [] }
        return line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func openFiles(of pid: Int32) -> [String] {
        let folder = "/proc/\(pid)/fd"
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
        }
    }
}

/// The control groups that a daemon started by this process uses for its jobs.
enum TestGroups {
    /// The place for a daemon's groups on a host with the unified hierarchy; nil on others.
    ///
    /// Below the root, which may hold processes beside groups with controllers: the test's own group may not.
    static func makeUnifiedBase(name: String) throws -> String? {
        guard Host.hasUnifiedCgroups else { return nil }
        for controller in ["cpu", "memory", "pids"] {
            let file = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC)
            defer { close(file) }
            // Where there is no such controller the daemon itself says which limit it cannot enforce.
            _ = write(file, "+\(controller)", controller.utf8.count + 1)
        }
        let base = "/sys/fs/cgroup/\(name)"
        try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
        return base
    }

    /// Where a daemon keeps its groups in the hierarchies of single controllers, below this process's own groups.
    static func legacyRoots(name: String) -> [String] {
        let lines = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        return lines.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3,
                ["pids", "memory", "cpu", "cpuacct", "blkio"].contains(where: {
                    fields[1].split(separator: ",").contains($0)
                })
            else { return nil }
            let root = "/sys/fs/cgroup/\(fields[1])\(fields[2] == "/" ? "" : fields[2])/joblet-\(name)"
            return FileManager.default.fileExists(atPath: root) ? root : nil
        }
    }
}
