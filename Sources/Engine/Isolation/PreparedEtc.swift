import CCrypto
import CLinux
import Glibc
public import Kernel

/// The one `/etc` that all jobs of a node see: a copy of the few public files that programs need.
///
/// A version is never changed: jobs have it mounted. Its directory is named by its contents, so a daemon that
/// restarts finds the same one, and a change of the host's files makes another beside it.
public struct PreparedEtc: Sendable, Hashable {
    /// The directory to bind at `/etc`.
    public let path: String
    /// Entries that the configuration asks for and the copy leaves out: the path and why.
    public let omissions: [Omission]

    /// An entry that was not copied.
    public struct Omission: Sendable, Hashable {
        /// The path on the host.
        public let path: String
        /// Why, in words for a log.
        public let reason: String
    }

    /// What every job gets if the host has it; the configuration adds to this.
    public static let standardEntries = [
        "alternatives", "ca-certificates", "ca-certificates.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
        "localtime", "mime.types", "pki/ca-trust", "pki/tls/certs", "pki/tls/openssl.cnf", "protocols", "resolv.conf",
        "services", "ssl", "timezone",
    ]

    private static let prefix = "etc."

    /// Copies what is standard and what `allowedMounts` names below `/etc` into a directory below `directory`.
    ///
    /// - Parameter allowedMounts: host paths that jobs see; those elsewhere decide which links can be kept.
    /// - Parameter host: the directory to copy from, `/etc` but in tests.
    public static func prepare(
        in directory: String, allowedMounts: [String], from host: String = "/etc"
    ) throws(SystemCallError) -> PreparedEtc {
        var copy = try EtcCopy(host: host, allowedMounts: allowedMounts)
        for name in standardEntries { try copy.add(name, isRequested: false) }
        for mount in allowedMounts {
            guard let name = EtcCopy.name(of: mount, below: "/etc") else { continue }
            try copy.add(name, isRequested: true)
        }
        copy.addGenerated()
        let path = "\(directory)/\(prefix)\(try digest(copy.nodes))"
        if !Directory.exists(path) { try write(copy.nodes, to: path, below: directory) }
        return PreparedEtc(path: path, omissions: copy.omissions)
    }

    /// Removes every other version below the same directory; only while no job runs that began with one.
    public func removeOthers() throws(SystemCallError) {
        guard let slash = path.lastIndex(of: "/") else { return }
        let directory = String(path[..<slash])
        let own = path[path.index(after: slash)...]
        for name in try Directory.names(in: directory) where name.hasPrefix(PreparedEtc.prefix) && name != own {
            try Directory.removeTree("\(directory)/\(name)")
        }
    }

    /// Builds the version beside its place and renames it there: a version that can be found is whole.
    private static func write(
        _ nodes: [String: EtcCopy.Node], to path: String, below directory: String
    ) throws(SystemCallError) {
        let building = "\(directory)/\(prefix)new-\(getpid())"
        try Directory.removeTree(building)
        try makeDirectory(building)
        // Parents sort before what they hold.
        for (name, node) in nodes.sorted(by: { $0.key < $1.key }) {
            let target = "\(building)/\(name)"
            switch node {
            case .directory: try makeDirectory(target)
            case .link(let destination):
                try retrying("symlink \(target)") { symlink(destination, target) }
            case .file(let contents):
                let file = try FileDescriptor.open(target, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
                try file.write(contents, at: 0)
                try retrying("fchmod \(target)") { fchmod(file.number, 0o644) }
            }
        }
        if rename(building, path) != 0 {
            let code = errno
            try Directory.removeTree(building)
            guard code == EEXIST || code == ENOTEMPTY else { throw SystemCallError("rename \(building)", code: code) }
        }
    }

    /// With its mode set apart: the daemon's umask may be stricter than jobs can live with.
    private static func makeDirectory(_ path: String) throws(SystemCallError) {
        try retrying("mkdir \(path)") { mkdir(path, 0o755) }
        try retrying("chmod \(path)") { chmod(path, 0o755) }
    }

    private static func digest(_ nodes: [String: EtcCopy.Node]) throws(SystemCallError) -> String {
        var writer = ByteWriter()
        for (name, node) in nodes.sorted(by: { $0.key < $1.key }) {
            writer.write(name)
            switch node {
            case .directory: writer.write(UInt8(0))
            case .link(let destination):
                writer.write(UInt8(1))
                writer.write(destination)
            case .file(let contents):
                writer.write(UInt8(2))
                writer.write(contents)
            }
        }
        var sum = [UInt8](repeating: 0, count: 32)
        guard EVP_Digest(writer.bytes, writer.bytes.count, &sum, nil, EVP_sha256(), nil) == 1 else {
            throw SystemCallError("SHA-256", code: ENOSYS)
        }
        return sum.prefix(8).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
