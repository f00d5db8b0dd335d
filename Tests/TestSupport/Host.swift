import Foundation
import Glibc

/// What the machine that runs the tests offers.
public enum Host {
    /// Whether tests may make namespaces and control groups.
    public static let isRoot = geteuid() == 0

    /// Whether the machine has a cgroup v2 hierarchy with controllers.
    public static let hasUnifiedCgroups =
        (try? String(contentsOfFile: "/sys/fs/cgroup/cgroup.controllers", encoding: .utf8))
        .map { $0.contains("memory") } ?? false
}
