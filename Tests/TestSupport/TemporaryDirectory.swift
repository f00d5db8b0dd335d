import Foundation

/// A directory of a test's own, removed with its last reference.
public final class TemporaryDirectory: Sendable {
    /// The directory's path.
    public let path: String

    /// Makes a directory below `parent`.
    public init(in parent: String = "/tmp", name: String = "joblet-test") throws {
        path = parent + (parent.hasSuffix("/") ? "" : "/") + "\(name)-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
