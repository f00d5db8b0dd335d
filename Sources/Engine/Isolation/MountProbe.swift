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

    /// Whether the file system of `directory` counts the space of directories apart.
    static func projectQuota(_ directory: String) -> HostCapabilities.Capability {
        func finding(_ isAvailable: Bool, _ detail: String) -> HostCapabilities.Capability {
            HostCapabilities.Capability(
                name: "project quota on \(directory)", isAvailable: isAvailable, detail: detail,
                consequence: "work directories on disk have no size limit")
        }
        var status = stat()
        guard stat(directory, &status) == 0 else { return finding(false, SystemCallError.current("stat").description) }
        let device = UInt64(status.st_dev)
        // makedev(3): twelve bits of the major number from bit 8, the minor around them.
        let name = "\((device >> 8) & 0xfff | (device >> 32) & ~0xfff):\(device & 0xff | (device >> 12) & ~0xff)"
        for line in ((try? readText("/proc/self/mountinfo")) ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 6, fields[2] == name, let dash = fields.firstIndex(of: "-"), dash + 3 < fields.count
            else { continue }
            let options = fields[dash + 3].split(separator: ",")
            let isOn = options.contains { $0 == "prjquota" || $0 == "pquota" }
            return finding(isOn, "\(fields[dash + 1]) mounted with\(isOn ? "" : "out") prjquota")
        }
        return finding(false, "its mount was not found")
    }
}
