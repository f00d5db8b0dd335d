extension Configuration {
    /// Whose configuration file it is.
    public enum Format: Sendable {
        /// Joblet's own format: every key is known and used.
        case joblet
        /// The format of the original implementation: what means the same is taken over.
        case original
    }
}

/// The configuration format of the original implementation in Go: what becomes of its keys.
///
/// A file is in that format if it has a key or section that only the original knows and no key that only Joblet knows.
enum OriginalFormat {
    /// What becomes of a key.
    enum Fate: Equatable {
        /// The key of the same path means the same.
        case same
        /// Another key means the same.
        case renamed(String)
        /// Other keys say it in other words.
        case converted
        /// Nothing here corresponds to it, for this reason.
        case ignored(String)
    }

    /// Keys that both formats have, with one meaning.
    static let same: Set<String> = [
        "version", "server.address", "server.port", "server.nodeId",
        "security.serverCert", "security.serverKey", "security.caCert",
        "joblet.defaultCpuLimit", "joblet.defaultMemoryLimit", "joblet.maxConcurrentJobs", "joblet.jobTimeout",
        "joblet.cleanupTimeout", "cgroup.baseDir", "filesystem.allowedMounts", "filesystem.workspaceDir",
        "grpc.maxRecvMsgSize", "grpc.maxConcurrentStreams", "grpc.keepAliveTime", "grpc.keepAliveTimeout",
        "grpc.maxConnectionIdle", "logging.level", "logging.format",
    ]

    /// Keys whose meaning has another path here.
    static let renamed = [
        graceKey: "joblet.cleanupTimeout",
        "persist.storage.local.logs.directory": "storage.logs.directory",
        "persist.storage.local.metrics.directory": "storage.metrics.directory",
        "persist.ipc.socket": "storage.workers.persistSocket",
        "persist.ipc.max_message_size": "storage.workers.maxMessageBytes",
        "persist.server.grpc_socket": "storage.query.socket",
        "persist.server.grpc_address": "storage.query.address",
        "persist.server.tls.enabled": "storage.query.tls",
        "state.socket": "storage.workers.stateSocket",
        "state.storage.dynamodb.region": "storage.state.dynamodb.region",
        "state.storage.dynamodb.table_name": "storage.state.dynamodb.table",
    ]

    /// The grace period of the original. Its `joblet.cleanupTimeout` is read and never used, so this one decides if a
    /// file has both.
    static let graceKey = "cgroup.cleanupTimeout"

    /// What the original waits when its grace period is zero.
    static let graceForZero = Duration.milliseconds(100)

    private static let parsed = ignored.map { (parts: components($0.path), reason: $0.reason) }

    /// What becomes of a key; nil if the original does not know it either.
    static func fate(of path: String) -> Fate? {
        if same.contains(path) { return .same }
        if let target = renamed[path] { return .renamed(target) }
        if conversions[path] != nil { return .converted }
        let parts = components(path)
        return parsed.first { matches(parts, $0.parts) && $0.parts.count == parts.count }.map { .ignored($0.reason) }
    }

    /// What becomes of a key in a file that gives values to the keys in `taken`.
    static func fate(of path: String, in taken: Set<String>) -> Fate? {
        if path == "joblet.cleanupTimeout", taken.contains(graceKey) {
            return .ignored("\(graceKey) is the time between SIGTERM and SIGKILL")
        }
        return fate(of: path)
    }

    /// Whether the original has keys below a path.
    static func isSection(_ path: String) -> Bool {
        let parts = components(path)
        return parsed.contains { $0.parts.count > parts.count && matches(parts, $0.parts) }
            || (Array(same) + renamed.keys + conversions.keys).contains { $0.hasPrefix(path + ".") }
    }

    /// Whether a path tells the original's format: one of its keys, or anything in a section that only it has.
    static func owns(_ path: String) -> Bool {
        fate(of: path) != nil
            || (KeyNames.ancestors(of: path) + [path]).contains { isSection($0) && !KeyNames.sections.contains($0) }
    }

    private static func components(_ path: String) -> [Substring] {
        path.split(separator: ".", omittingEmptySubsequences: false)
    }

    /// Whether a path is, or leads to, the keys of a pattern, in which `*` stands for any one name.
    private static func matches(_ parts: [Substring], _ pattern: [Substring]) -> Bool {
        zip(parts, pattern).allSatisfy { $1 == "*" || $0 == $1 }
    }
}
