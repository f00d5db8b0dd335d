import Glibc

/// How much of everything the host has.
public struct HostResources: Sendable, Hashable {
    /// Processors that are online.
    public var processors: Int
    /// Bytes of memory.
    public var memoryBytes: Int64

    /// The resources of this host.
    public static func current() -> HostResources {
        HostResources(
            processors: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
            memoryBytes: Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE))))
    }
}
