import Glibc
package import Storage

/// Directories of the stores: mode 0700, made with their parents.
package enum Directory {
    /// Makes `path` and what is missing above it.
    package static func create(_ path: String) throws(StorageError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        let parent = self.parent(of: path)
        guard errno == ENOENT, parent != path else { throw StorageError(errno: errno, "mkdir", path) }
        try create(parent)
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw StorageError(errno: errno, "mkdir", path) }
    }

    /// Makes the entries of `path` durable.
    package static func synchronize(_ path: String) throws(StorageError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError(errno: errno, "open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StorageError(errno: errno, "sync", path) }
    }

    /// The names in `path`, in no order; none where it does not exist.
    package static func names(in path: String) throws(StorageError) -> [String] {
        guard let stream = opendir(path) else {
            if errno == ENOENT { return [] }
            throw StorageError(errno: errno, "open", path)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw StorageError(errno: errno, "read", path) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// The directory that holds `path`.
    package static func parent(of path: String) -> String {
        let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// Gives a file another name, in the place of the file that had it.
    package static func rename(_ path: String, to new: String) throws(StorageError) {
        guard Glibc.rename(path, new) == 0 else { throw StorageError(errno: errno, "rename", path) }
    }

    /// Removes the file at `path`; nothing where there is none.
    package static func remove(file path: String) throws(StorageError) {
        guard unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR else {
            throw StorageError(errno: errno, "remove", path)
        }
    }

    /// Removes the directory at `path` where it is empty; one that still holds something stays.
    package static func removeIfEmpty(_ path: String) throws(StorageError) {
        guard rmdir(path) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST else {
            throw StorageError(errno: errno, "remove", path)
        }
    }
}
