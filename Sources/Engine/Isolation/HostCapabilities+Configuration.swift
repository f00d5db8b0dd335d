import Kernel
import Sandbox

extension HostCapabilities {
    /// What this host offers to a daemon with that configuration, before there is one.
    public static func probe(for configuration: EngineConfiguration) -> HostCapabilities {
        let files = HostFiles.plan(configuration.allowedMounts, etcDirectory: "/etc")
        var directory = configuration.dataDirectory
        // What is asked about file systems is true of the one on which the directory will be made.
        while !Directory.exists(directory), let slash = directory.lastIndex(of: "/"), slash != directory.startIndex {
            directory = String(directory[..<slash])
        }
        return probe(
            dataDirectory: Directory.exists(directory) ? directory : "/", binds: files.binds.map(\.source))
    }
}
