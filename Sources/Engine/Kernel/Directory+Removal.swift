import Glibc

extension Directory {
    /// A directory on the way down, and those in it that are still to be removed.
    private struct Level {
        let name: FileName
        var left: [FileName]
    }

    /// Removes `path` and everything below it, however deep and whatever its names, without following links; no error
    /// where it is missing.
    ///
    /// Nobody else may move directories of the tree meanwhile.
    public static func removeTree(_ path: String) throws(SystemCallError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw .current("unlink \(path)") }
        // A path has a greatest length, a tree has none: the way goes from one directory to the next.
        var directory = try FileDescriptor.open(path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        var levels = [Level(name: FileName(path), left: try removeEntries(of: directory))]
        while let next = levels[levels.count - 1].left.popLast() {
            directory = try open(next, in: directory)
            levels.append(Level(name: next, left: try removeEntries(of: directory)))
            while levels.count > 1, levels[levels.count - 1].left.isEmpty {
                directory = try FileDescriptor.openDirectory("..", in: directory)
                _ = try remove(levels.removeLast().name, in: directory, AT_REMOVEDIR)
            }
        }
        if rmdir(path) != 0, errno != ENOENT { throw .current("rmdir \(path)") }
    }

    /// Removes what is in a directory; returns its directories that are not empty.
    private static func removeEntries(of directory: FileDescriptor) throws(SystemCallError) -> [FileName] {
        var left: [FileName] = []
        for name in try FileName.all(in: directory) where try !remove(name, in: directory, 0) {
            if try !remove(name, in: directory, AT_REMOVEDIR) { left.append(name) }
        }
        return left
    }

    /// Removes a name; false where it is a directory, for `AT_REMOVEDIR` one that is not empty.
    private static func remove(
        _ name: FileName, in directory: FileDescriptor, _ flags: Int32
    ) throws(SystemCallError) -> Bool {
        if unlinkat(directory.number, name.cString, flags) == 0 || errno == ENOENT { return true }
        guard errno == (flags == 0 ? EISDIR : ENOTEMPTY) else { throw .current("unlink \(name)") }
        return false
    }

    private static func open(_ name: FileName, in directory: FileDescriptor) throws(SystemCallError) -> FileDescriptor {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        return FileDescriptor(
            owning: try retrying("open \(name)") { openat(directory.number, name.cString, flags) })
    }
}
