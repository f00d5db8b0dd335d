import Glibc
import Kernel
import Sandbox

/// The allowed host paths as a sandbox gets them.
enum HostFiles {
    /// Directories and files as read-only binds, links as links; what the host does not have is left out.
    ///
    /// `/etc` and what is below it comes from `etcDirectory`.
    static func plan(
        _ allowedMounts: [String], etcDirectory: String
    ) -> (binds: [SandboxPlan.Bind], links: [SandboxPlan.Link]) {
        var binds: [SandboxPlan.Bind] = []
        var links: [SandboxPlan.Link] = []
        for path in allowedMounts where path != "/etc" && !path.hasPrefix("/etc/") {
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFLNK {
                var buffer = [CChar](repeating: 0, count: 4096)
                let count = readlink(path, &buffer, buffer.count)
                guard count > 0 else { continue }
                let destination = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                links.append(.init(destination: destination, path: path))
            } else if !binds.contains(where: { path.hasPrefix("\($0.target)/") }) {
                binds.append(.init(source: path, target: path))
            }
        }
        binds.append(.init(source: etcDirectory, target: "/etc"))
        return (binds, links)
    }
}
