import Glibc

/// A directory whose content travels with a job.
struct UploadTree {
    /// Deeper than any tree that fits into a path.
    private static let maximumDepth = 256

    /// As the user wrote it.
    private let root: String
    /// Without symbolic links, to compare others with.
    private let resolvedRoot: String

    init(_ directory: String) throws(Failure) {
        root = directory
        resolvedRoot = try Self.resolved(directory)
        var status = stat()
        guard stat(directory, &status) == 0 else { throw Failure(.local, systemText(errno)) }
        guard status.isDirectory else { throw Failure(.local, "not a directory") }
    }

    /// Everything below the directory but not itself, in the order of names, directories before what they hold.
    func entries() throws(Failure) -> [UploadEntry] {
        var found: [UploadEntry] = []
        try walk("", depth: 0, into: &found)
        return found
    }

    private func walk(_ folder: String, depth: Int, into found: inout [UploadEntry]) throws(Failure) {
        guard depth < Self.maximumDepth else { throw Failure(.local, "\(folder): too many levels") }
        for name in try Self.names(in: folder.isEmpty ? root : "\(root)/\(folder)") {
            let path = folder.isEmpty ? name : "\(folder)/\(name)"
            let entry = try entry(path)
            found.append(entry)
            if entry.isDirectory { try walk(path, depth: depth + 1, into: &found) }
        }
    }

    private func entry(_ path: String) throws(Failure) -> UploadEntry {
        var source = "\(root)/\(path)"
        var status = stat()
        guard lstat(source, &status) == 0 else { throw Failure(.local, "\(path): \(systemText(errno))") }
        if status.isSymbolicLink {
            source = try Self.resolved(source, name: path)
            guard source == resolvedRoot || source.hasPrefix(resolvedRoot == "/" ? "/" : resolvedRoot + "/") else {
                throw Failure(.local, "\(path): the symbolic link leads out of the directory")
            }
            guard lstat(source, &status) == 0 else { throw Failure(.local, "\(path): \(systemText(errno))") }
            guard status.isRegular else { throw Failure(.local, "\(path): the symbolic link does not lead to a file") }
        }
        guard status.isDirectory || status.isRegular else {
            throw Failure(.local, "\(path): neither a file nor a directory")
        }
        guard access(source, R_OK) == 0 else { throw Failure(.local, "\(path): \(systemText(errno))") }
        return UploadEntry(
            path: path, source: source, mode: status.st_mode & 0o777, isDirectory: status.isDirectory,
            size: status.isDirectory ? 0 : UInt64(status.st_size))
    }

    private static func names(in folder: String) throws(Failure) -> [String] {
        guard let directory = opendir(folder) else { throw Failure(.local, "\(folder): \(systemText(errno))") }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { break }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name else { throw Failure(.local, "\(folder): a name in it is not valid UTF-8") }
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw Failure(.local, "\(folder): \(systemText(errno))") }
        return names.sorted()
    }

    private static func resolved(_ path: String, name: String? = nil) throws(Failure) -> String {
        guard let resolved = realpath(path, nil) else {
            throw Failure(.local, name.map { "\($0): \(systemText(errno))" } ?? systemText(errno))
        }
        defer { free(resolved) }
        guard let text = String(validatingCString: resolved) else {
            throw Failure(.local, "\(path): its full path is not valid UTF-8")
        }
        return text
    }
}
