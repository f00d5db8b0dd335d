import CLinux
import Glibc
import Kernel

/// What goes into a prepared `/etc`, read into memory.
///
/// The source may hold anything: every name is opened without following links, and only what every user of the
/// host may read is taken.
struct EtcCopy {
    enum Node: Hashable {
        case directory
        case file([UInt8])
        case link(String)
    }

    /// Paths below `/etc` and what is there.
    private(set) var nodes: [String: Node] = [:]
    private(set) var omissions: [PreparedEtc.Omission] = []

    private let root: FileDescriptor
    /// Host paths outside `/etc` that jobs see under the same name.
    private let visible: [String]
    private var bytes = 0

    private static let fileLimit = 4 << 20
    private static let totalLimit = 32 << 20
    private static let entryLimit = 20_000

    /// Never copied, whatever their modes and whoever asks: accounts, keys, what identifies the host.
    private static let secrets: Set<String> = [
        "shadow", "shadow-", "gshadow", "gshadow-", "passwd-", "group-", "sudoers", "sudoers.d", "ssh", "ssl/private",
        "pki/tls/private", "security/opasswd", "krb5.keytab", "machine-id", "joblet", "letsencrypt", "wireguard",
        "NetworkManager/system-connections",
    ]
    /// Always our own: the host's users mean nothing in a job.
    private static let generated = [
        "passwd": "root:x:0:0:root:/work:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    ]
    /// Ours unless the host's are asked for.
    private static let substitutes = [
        "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        // myhostname, where it is installed, knows the job's own name, which one hosts file for all cannot.
        "nsswitch.conf": """
        passwd: files
        group: files
        shadow: files
        hosts: files myhostname dns
        networks: files
        protocols: files
        services: files

        """,
    ]

    init(host: String, allowedMounts: [String]) throws(SystemCallError) {
        root = try FileDescriptor.openDirectory(host)
        visible = allowedMounts.compactMap { mount in
            let path = EtcCopy.normalized(mount, relativeTo: "/")
            return EtcCopy.name(of: path, below: "/etc") == nil ? path : nil
        }
    }

    /// The part of `path` below `parent`; nil where it is not below, empty where it is `parent` itself.
    static func name(of path: String, below parent: String) -> String? {
        let path = normalized(path, relativeTo: "/")
        if path == parent { return "" }
        return path.hasPrefix(parent + "/") ? String(path.dropFirst(parent.utf8.count + 1)) : nil
    }

    /// `path` without `.`, `..` and doubled slashes; by its text alone.
    private static func normalized(_ path: String, relativeTo directory: String) -> String {
        var parts: [Substring] = []
        for part in (path.hasPrefix("/") ? path : directory + "/" + path).split(separator: "/") {
            switch part {
            case ".": break
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// Adds the entry `name` and what is below it; says why not if it was asked for.
    mutating func add(_ name: String, isRequested: Bool) throws(SystemCallError) {
        if let reason = try take(name, isEntry: true), isRequested {
            omissions.append(PreparedEtc.Omission(path: "/etc/\(name)", reason: reason))
        }
    }

    /// Adds what no host file gives.
    mutating func addGenerated() {
        for (name, text) in EtcCopy.generated { nodes[name] = .file(Array(text.utf8)) }
        for (name, text) in EtcCopy.substitutes where nodes[name] == nil { nodes[name] = .file(Array(text.utf8)) }
    }

    /// Takes `name`; returns why it did not.
    private mutating func take(_ name: String, isEntry: Bool) throws(SystemCallError) -> String? {
        if EtcCopy.isSecret(name) { return "never shown to jobs" }
        if EtcCopy.generated[name] != nil { return "jobs have their own" }
        let number = joblet_openat2(
            root.number, name.isEmpty ? "." : name, UInt64(JOBLET_O_PATH | O_NOFOLLOW | O_CLOEXEC), 0,
            UInt64(JOBLET_RESOLVE_BENEATH | JOBLET_RESOLVE_NO_SYMLINKS | JOBLET_RESOLVE_NO_MAGICLINKS))
        switch number {
        case -ENOENT, -ENOTDIR: return "not on this host"
        case -ELOOP: return "behind a symbolic link"
        default: break
        }
        let node = FileDescriptor(owning: try check(number, "open /etc/\(name)"))
        var status = stat()
        try retrying("fstat /etc/\(name)") { fstat(node.number, &status) }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return try takeDirectory(name, node, status)
        case S_IFREG: return try takeFile(name, "/proc/self/fd/\(node.number)", status)
        case S_IFLNK: return try takeLink(name, node, isEntry: isEntry)
        default: return "neither a file, a directory nor a link"
        }
    }

    private mutating func takeDirectory(
        _ name: String, _ node: FileDescriptor, _ status: stat
    ) throws(SystemCallError) -> String? {
        guard status.st_mode & 0o5 == 0o5 else { return "not readable by every user of the host" }
        try place(.directory, at: name)
        for child in try Directory.names(in: "/proc/self/fd/\(node.number)") {
            _ = try take(name.isEmpty ? child : "\(name)/\(child)", isEntry: false)
        }
        return nil
    }

    private mutating func takeFile(
        _ name: String, _ path: String, _ status: stat
    ) throws(SystemCallError) -> String? {
        guard status.st_mode & 0o4 != 0 else { return "not readable by every user of the host" }
        guard status.st_size <= EtcCopy.fileLimit else { return "larger than 4 MiB" }
        let file = try FileDescriptor.open(path, flags: O_RDONLY | O_NONBLOCK)
        let contents = try file.read(at: 0, count: status.st_size)
        if EtcCopy.holdsPrivateKey(contents) { return "holds a private key" }
        bytes += contents.count
        try place(.file(contents), at: name)
        return nil
    }

    /// Keeps a link if jobs see what it points to; else an entry's target is copied in its place.
    private mutating func takeLink(
        _ name: String, _ node: FileDescriptor, isEntry: Bool
    ) throws(SystemCallError) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try retrying("readlink /etc/\(name)") { readlinkat(node.number, "", &buffer, buffer.count) }
        let text = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let parent = name.lastIndex(of: "/").map { "/etc/" + name[..<$0] } ?? "/etc"
        let target = EtcCopy.normalized(text, relativeTo: parent)
        if (visible + ["/etc"]).contains(where: { target == $0 || target.hasPrefix($0 + "/") }) {
            try place(.link(text), at: name)
            return nil
        }
        // A configured name, like resolv.conf in /run, stands for what it leads to; a link met on the way does not.
        guard isEntry else { return "leads out of what jobs see" }
        let number = joblet_open(AT_FDCWD, target, JOBLET_O_PATH, 0)
        guard number >= 0 else { return "leads nowhere" }
        let file = FileDescriptor(owning: number)
        var status = stat()
        try retrying("fstat \(target)") { fstat(file.number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else { return "leads to something that is no file" }
        return try takeFile(name, "/proc/self/fd/\(file.number)", status)
    }

    private mutating func place(_ node: Node, at name: String) throws(SystemCallError) {
        guard bytes <= EtcCopy.totalLimit, nodes.count < EtcCopy.entryLimit else {
            throw SystemCallError("copy /etc/\(name)", code: EFBIG)
        }
        guard !name.isEmpty else { return }
        var parent = name
        while let slash = parent.lastIndex(of: "/") {
            parent = String(parent[..<slash])
            if nodes[parent] == nil { nodes[parent] = .directory }
        }
        nodes[name] = node
    }

    private static func isSecret(_ name: String) -> Bool {
        var name = Substring(name)
        while true {
            if secrets.contains(String(name)) { return true }
            guard let slash = name.lastIndex(of: "/") else { return false }
            name = name[..<slash]
        }
    }

    private static func holdsPrivateKey(_ contents: [UInt8]) -> Bool {
        let marker = Array("PRIVATE KEY-----".utf8)
        return contents.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return false }
            var offset = 0
            // memchr(3) and not a search of collections: this reads every byte of every file.
            while let found = memchr(base + offset, Int32(marker[0]), buffer.count - offset) {
                offset = UnsafeRawPointer(found) - base
                if buffer[offset...].starts(with: marker) { return true }
                offset += 1
            }
            return false
        }
    }
}
