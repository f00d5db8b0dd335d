/// A set of Linux capabilities (capabilities(7)), bit by bit as the kernel has them.
///
/// A job holds them in its own user namespace: over its own processes, files and network, never the host's.
public struct Capabilities: OptionSet, Sendable, Hashable {
    /// The bits, for `SandboxPlan.capabilities`.
    public let rawValue: UInt64

    /// The set with these bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    private init(bit: UInt64) { rawValue = 1 << bit }

    /// Change the owner of a file.
    public static let chown = Capabilities(bit: 0)
    /// Read and write files whatever their modes say.
    public static let dacOverride = Capabilities(bit: 1)
    /// Change modes and times of files of others.
    public static let fowner = Capabilities(bit: 3)
    /// Keep set-ID bits of a file that is changed.
    public static let fsetid = Capabilities(bit: 4)
    /// Signal processes of other users.
    public static let kill = Capabilities(bit: 5)
    /// Change groups.
    public static let setgid = Capabilities(bit: 6)
    /// Change users.
    public static let setuid = Capabilities(bit: 7)
    /// Give up capabilities for good.
    public static let setpcap = Capabilities(bit: 8)
    /// Use ports below 1024.
    public static let netBindService = Capabilities(bit: 10)
    /// Use raw IP sockets, as ping does.
    public static let netRaw = Capabilities(bit: 13)
    /// Put capabilities on files.
    public static let setfcap = Capabilities(bit: 31)

    /// What a job keeps: what package installers and servers that give up root need.
    ///
    /// Not among them, though common elsewhere: MKNOD (the sandbox has its devices), SYS_CHROOT (an old way out),
    /// AUDIT_WRITE (the host's log). NET_RAW only in a network of the job's own, where it can forge nothing.
    public static func `default`(hasOwnNetwork: Bool) -> Capabilities {
        let kept: Capabilities = [
            .chown, .dacOverride, .fowner, .fsetid, .kill, .setgid, .setuid, .setpcap, .setfcap, .netBindService,
        ]
        return hasOwnNetwork ? kept.union(.netRaw) : kept
    }
}
