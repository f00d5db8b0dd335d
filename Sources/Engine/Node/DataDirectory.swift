import FoundationEssentials
import Glibc
import Kernel
public import Storage

/// The node's data directory: held by one daemon at a time, and the home of the node's identity.
public final class DataDirectory: Sendable {
    /// The directory's path.
    public let path: String
    /// The node's id and the directory's own random id.
    public let identity: NodeIdentity
    private let lock: DataDirectoryLock

    /// Takes the directory at `path`, making what is missing.
    ///
    /// Throws `failedPrecondition` where another daemon holds it.
    public init(path: String, nodeID: String) throws(EngineError) {
        self.path = path
        do throws(SystemCallError) {
            for name in ["", "/journal", "/staging", "/work"] { try Directory.create(path + name) }
        } catch {
            throw EngineError(.internal, "\(error)")
        }
        lock = try DataDirectoryLock(path)
        do throws(SystemCallError) {
            let generated = try DataDirectory.text("\(path)/node.id") { UUID().uuidString.lowercased() }
            let incarnation = try DataDirectory.text("\(path)/incarnation") { UUID().uuidString.lowercased() }
            identity = NodeIdentity(id: nodeID.isEmpty ? generated : nodeID, incarnation: incarnation)
        } catch {
            throw EngineError(.internal, "\(error)")
        }
    }

    /// The node's id: the configured one, else that which the daemon generated in the directory at `path`.
    public static func nodeID(configured: String, path: String) throws(EngineError) -> String {
        guard configured.isEmpty else { return configured }
        do throws(SystemCallError) {
            return try readWord("\(path)/node.id")
        } catch {
            throw EngineError(.failedPrecondition, "the node has no id yet (server.nodeId): \(error)")
        }
    }

    /// Lets another daemon take the directory.
    func release() { lock.release() }

    /// The id of the running boot.
    public static func bootID() -> String {
        (try? readWord("/proc/sys/kernel/random/boot_id")) ?? ""
    }

    /// The one word of a small file.
    private static func readWord(_ path: String) throws(SystemCallError) -> String {
        try readText(path).split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
    }

    /// The word kept in a small file, made by `create` the first time; durable before it is used.
    private static func text(_ path: String, _ create: () -> String) throws(SystemCallError) -> String {
        if Directory.exists(path) { return try readWord(path) }
        let value = create()
        try writeDurably("\(path)", Array((value + "\n").utf8))
        return value
    }

    /// Replaces a file as a whole: written aside, synced, renamed, directory synced.
    static func writeDurably(_ path: String, _ bytes: [UInt8]) throws(SystemCallError) {
        let file = try FileDescriptor.open("\(path).new", flags: O_WRONLY | O_CREAT | O_TRUNC)
        try file.write(bytes, at: 0)
        try file.synchronize()
        if rename("\(path).new", path) != 0 { throw .current("rename \(path)") }
        if let slash = path.lastIndex(of: "/") { try Directory.synchronize(String(path[..<slash])) }
    }
}
