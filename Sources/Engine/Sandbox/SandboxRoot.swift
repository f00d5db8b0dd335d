import CLinux
import Glibc
import Kernel

/// The sandbox's future root, before the child moves into it.
///
/// Its paths are resolved as if it were `/` already. A volume may hold links that an earlier job made: followed
/// from the host's root, they would have the host's root make files and mounts wherever they point.
struct SandboxRoot {
    /// Where it is mounted.
    let path: String
    private let directory: FileDescriptor

    // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS (openat2(2)).
    private static let resolution: UInt64 = 0x10 | 0x02

    /// The root mounted at `path`.
    init(_ path: String) throws(SystemCallError) {
        self.path = path
        directory = try FileDescriptor.open(path, flags: JOBLET_O_PATH | O_DIRECTORY)
    }

    /// The directory at `path`, made with its parents where it is missing.
    @discardableResult
    func makeDirectory(_ path: String) throws(SystemCallError) -> FileDescriptor {
        let number = open(path, O_DIRECTORY)
        if number != -ENOENT { return FileDescriptor(owning: try check(number, "open \(path)")) }
        let (parent, name) = try split(path)
        if mkdirat(parent.number, name, 0o755) != 0, errno != EEXIST { throw .current("mkdir \(path)") }
        return try FileDescriptor.open(name, in: parent, flags: JOBLET_O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }

    /// The file at `path`, made empty where it is missing.
    private func makeFile(_ path: String) throws(SystemCallError) -> FileDescriptor {
        let number = open(path, 0)
        if number != -ENOENT { return FileDescriptor(owning: try check(number, "open \(path)")) }
        let (parent, name) = try split(path)
        _ = try FileDescriptor.open(name, in: parent, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
        return try FileDescriptor.open(name, in: parent, flags: JOBLET_O_PATH | O_NOFOLLOW)
    }

    /// Makes a link at `path`; an empty directory there gives way.
    func link(_ path: String, to destination: String) throws(SystemCallError) {
        let (parent, name) = try split(path)
        _ = unlinkat(parent.number, name, AT_REMOVEDIR)
        try retrying("symlink \(path)") { symlinkat(destination, parent.number, name) }
    }

    /// Binds the host's `source` at `target`, with the owners that `owner` maps where it is a user namespace.
    func attach(
        _ source: String, at target: String, attributes: UInt64, owner: Int32
    ) throws(SystemCallError) {
        // One look at the source: what is mounted is what was examined.
        let tree = FileDescriptor(owning: try check(joblet_open_tree(AT_FDCWD, source, 0), "open_tree \(source)"))
        var status = stat()
        try retrying("fstat \(source)") { fstat(tree.number, &status) }
        let place =
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try makeDirectory(target)
            case S_IFLNK: throw SystemCallError("bind \(source), a symbolic link", code: ELOOP)
            default: try makeFile(target)
            }
        try check(joblet_mount_setattr(tree.number, 0, attributes, owner), "mount_setattr \(source)")
        try check(joblet_move_mount(tree.number, place.number, ""), "move_mount \(target)")
    }

    private func open(_ path: String, _ flags: Int32) -> Int32 {
        joblet_openat2(
            directory.number, path, UInt64(JOBLET_O_PATH | O_CLOEXEC | flags), 0, SandboxRoot.resolution)
    }

    /// The parent of `path`, made where it is missing, and its last name.
    private func split(_ path: String) throws(SystemCallError) -> (FileDescriptor, String) {
        let parts = path.split(separator: "/")
        guard let name = parts.last, !parts.contains("."), !parts.contains("..") else {
            throw SystemCallError("use \(path) in the sandbox", code: EINVAL)
        }
        return (try makeDirectory("/" + parts.dropLast().joined(separator: "/")), String(name))
    }
}
