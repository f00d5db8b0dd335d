import CLinux
import Glibc
import Kernel

/// A file with a file system of its own, so that what is written into it has a limit.
struct WorkImage {
    /// The file with the file system.
    let path: String
    /// The directory that shows it.
    let mountPoint: String

    /// Makes the file system, sparse, of at most `bytes` and with a root directory of `owner`.
    func create(bytes: UInt64, owner: UInt32) throws(SystemCallError) {
        let file = try FileDescriptor.open(path, flags: O_RDWR | O_CREAT | O_EXCL)
        try file.truncate(to: Int(clamping: bytes))
        // No journal and no room for root: after a crash of the host the job is over and its files are as they are.
        let options = "lazy_itable_init=1,nodiscard,root_owner=\(owner):\(owner)"
        try WorkImage.makeFileSystem(["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", options, path])
    }

    /// Whether the file system is mounted.
    var isMounted: Bool {
        var (above, here) = (stat(), stat())
        return stat("\(mountPoint)/..", &above) == 0 && stat(mountPoint, &here) == 0 && above.st_dev != here.st_dev
    }

    /// Mounts the file system at its place; set-user-ID programs and devices in it have no effect on the host.
    func mount() throws(SystemCallError) {
        try Directory.create(mountPoint, mode: 0o755)
        let file = try FileDescriptor.open(path, flags: O_RDWR)
        // Open until it is mounted: the last close gives the device back.
        let shown = try attachedDevice(of: file)
        let device = if let shown { shown } else { try attach(file) }
        try check(
            joblet_mount(device.name, mountPoint, "ext4", UInt64(MS_NOSUID) | UInt64(MS_NODEV), "discard"),
            "mount \(path)")
        withExtendedLifetime(device.file) {}
    }

    private func attach(_ file: FileDescriptor) throws(SystemCallError) -> (file: FileDescriptor, name: String) {
        var name = [CChar](repeating: 0, count: 32)
        let device = FileDescriptor(
            owning: try check(joblet_loop_attach(file.number, &name), "attach \(path) to a loop device"))
        return (device, String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    /// The device that shows the file already: in the mounts of a job that runs, or that ended a moment ago. A second
    /// one would be a second file system in the same file, which destroys it.
    private func attachedDevice(
        of file: FileDescriptor
    ) throws(SystemCallError) -> (file: FileDescriptor, name: String)? {
        let fileName = path[(path.lastIndex(of: "/") ?? path.startIndex)...]
        for device in try Directory.names(in: "/sys/block") where device.hasPrefix("loop") {
            guard let shown = try? readText("/sys/block/\(device)/loop/backing_file"), shown.contains(fileName),
                let open = try? FileDescriptor.open("/dev/\(device)", flags: O_RDWR)
            else { continue }
            if try check(joblet_loop_shows(open.number, file.number), "look at \(device)") == 1 {
                return (open, "/dev/\(device)")
            }
        }
        return nil
    }

    /// Unmounts the file system where nobody uses it here; waits until it is on the disk.
    func unmount() {
        // EBUSY: somebody looks at it, and unmounts it afterwards.
        _ = joblet_umount(mountPoint, Int32(UMOUNT_NOFOLLOW))
    }

    /// Unmounts the file system, at once for new users, and removes its file.
    func remove() throws(SystemCallError) {
        if isMounted {
            try check(joblet_umount(mountPoint, Int32(MNT_DETACH) | Int32(UMOUNT_NOFOLLOW)), "unmount \(mountPoint)")
        }
        if unlink(path) != 0, errno != ENOENT { throw .current("unlink \(path)") }
    }

    /// The program that makes file systems; nil where it is not installed.
    static var program: String? {
        let places: [String] = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"]
        return places.first { path in access(path, X_OK) == 0 }
    }

    private static func makeFileSystem(_ arguments: [String]) throws(SystemCallError) {
        guard let program else { throw SystemCallError("mkfs.ext4 is not installed", code: ENOENT) }
        var words = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let code = try check(joblet_run(program, &words), "start \(program)")
        guard code == 0 else { throw SystemCallError("mkfs.ext4 failed with exit code \(code)", code: EIO) }
    }
}
