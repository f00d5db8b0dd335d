import Sandbox

extension HostCapabilities {
    /// What this host offers to a daemon with that configuration, before there is one.
    public static func probe(for configuration: EngineConfiguration) -> HostCapabilities {
        probe(binds: HostFiles.plan(configuration.allowedMounts, etcDirectory: "/etc").binds.map(\.source))
    }
}
