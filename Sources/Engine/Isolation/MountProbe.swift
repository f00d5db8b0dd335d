import CLinux
import Glibc
import Kernel

/// Tries mounts without mounting: everything stays detached and goes with its descriptor.
enum MountProbe {
    /// Why the owners of `directory` cannot be mapped; nil if they can.
    static func idmapped(_ directory: String, userNamespace: FileDescriptor?) -> String? {
        guard let userNamespace else { return "no user namespace to map to" }
        do throws(SystemCallError) {
            let tree = FileDescriptor(
                owning: try check(joblet_open_tree(AT_FDCWD, directory, 0), "open_tree \(directory)"))
            try check(joblet_mount_setattr(tree.number, 0, 0, userNamespace.number), "mount_setattr \(directory)")
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Whether the kernel has the file system `type`, as a module or built in.
    static func fileSystem(_ type: String, consequence: String) -> HostCapabilities.Capability {
        let context = joblet_fsopen(type)
        if context >= 0 { close(context) }
        return HostCapabilities.Capability(
            name: type, failure: context >= 0 ? nil : SystemCallError.message(for: -context), consequence: consequence)
    }
}
