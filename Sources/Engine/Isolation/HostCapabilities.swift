/// What this host offers to jobs, found by trying: for `joblet check` and for deciding plans.
public struct HostCapabilities: Sendable, Hashable {
    /// One thing that a host has or lacks.
    public struct Capability: Sendable, Hashable {
        /// What it is called in reports: `idmapped mounts on /usr`.
        public let name: String
        /// Whether jobs can use it.
        public let isAvailable: Bool
        /// What was found: a version, a path, or why it is missing.
        public let detail: String
        /// What is refused or done differently without it.
        public let consequence: String
    }

    /// How control groups are mounted.
    public enum CgroupMode: String, Sendable, Hashable {
        /// One hierarchy with all controllers.
        case unified = "v2"
        /// A hierarchy for each controller; a v2 tree beside them has none.
        case legacy = "v1"
        /// No control groups.
        case none
    }

    /// All findings, in the order of reports.
    public let capabilities: [Capability]
    /// How control groups are mounted.
    public let cgroupMode: CgroupMode
    /// The controllers that can limit a job: `cpu`, `memory`, `pids` …
    public let controllers: Set<String>
    /// Whether jobs can have namespaces and ids of their own.
    public let hasUserNamespaces: Bool
    /// The directories of which a mount can show its owners as the job's (mount_setattr(2)).
    public let idmappable: Set<String>

    /// Looks at this host; takes some milliseconds and leaves nothing behind.
    ///
    /// - Parameter binds: directories of the host that jobs see, such as `/usr`.
    public static func probe(binds: [String]) -> HostCapabilities {
        let cgroups = CgroupProbe()
        let namespaces = NamespaceProbe.capabilities()
        let userNamespace = NamespaceProbe.mappedUserNamespace()
        let mounts = binds.map { MountProbe.idmapped($0, userNamespace: userNamespace) }
        let found: [[Capability]] = [
            [SystemProbe.kernel()], cgroups.capabilities, namespaces.map(\.capability), [SystemProbe.seccomp()],
            zip(binds, mounts).map { bind, failure in
                Capability(
                    name: "idmapped mounts on \(bind)", failure: failure,
                    consequence: "files of \(bind) show as nobody's in jobs")
            },
            [
                MountProbe.fileSystem("tmpfs", consequence: "no job can start"),
                MountProbe.fileSystem("overlay", consequence: "runtimes cannot be layered"),
                SystemProbe.workQuota(), SystemProbe.packetFilter(),
                SystemProbe.graphics(), SystemProbe.resourceCapability(),
            ],
        ]
        return HostCapabilities(
            capabilities: found.flatMap { $0 }, cgroupMode: cgroups.mode, controllers: cgroups.usable,
            hasUserNamespaces: namespaces.contains { $0.name == "user" && $0.capability.isAvailable },
            idmappable: Set(zip(binds, mounts).filter { $0.1 == nil }.map(\.0)))
    }

    /// The findings as text, a line each: a mark, the name, what was found; what follows from a lack.
    public var text: String {
        let width = capabilities.map(\.name.count).max() ?? 0
        return capabilities.map { capability in
            let name = capability.name + String(repeating: " ", count: width - capability.name.count)
            let line = "\(capability.isAvailable ? "yes" : "no ")  \(name)  \(capability.detail)"
            return capability.isAvailable ? line : line + "; \(capability.consequence)"
        }.joined(separator: "\n") + "\n"
    }
}

extension HostCapabilities.Capability {
    /// A capability that is there unless trying it failed.
    init(name: String, failure: String?, consequence: String) {
        self.init(name: name, isAvailable: failure == nil, detail: failure ?? "works", consequence: consequence)
    }
}
