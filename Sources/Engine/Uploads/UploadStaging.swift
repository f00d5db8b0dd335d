import CLinux
import Glibc
import Kernel
import Storage

/// A job's uploads on their way: written below `staging/<job>`, copied into `/work` by the job's own child.
///
/// Holds one open file; used by one caller at a time.
public actor UploadStaging {
    /// What may stand in a mode: permission bits, never set-user-ID.
    private static let modeMask: UInt32 = 0o777
    /// Files and directories of one job: their names stay in its record and in memory while it runs.
    static let maxEntries = 65_536

    private let thread = BlockingExecutor.shared.thread()
    /// The directory that holds the uploads.
    public nonisolated let path: String
    private let limit: Int64
    private var written: Int64 = 0
    private var root: FileDescriptor?
    private var file: FileDescriptor?
    private var fileSize = 0
    private var announced: UInt64?
    private var seen: Set<WorkPath> = []
    /// Directories that were made for what lies in them.
    private var folders = 0
    /// The paths of the files, in the order they came.
    public private(set) var files: [String] = []

    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// An empty staging area of `job` below `directory` for at most `limit` bytes.
    init(directory: String, job: JobID, limit: Int64) {
        path = "\(directory)/\(job)"
        self.limit = limit
    }

    /// Begins a file; its bytes follow with `write`.
    ///
    /// `mode` may be Go's or POSIX's: only the permission bits count; 0 stands for 0644. `size` is how many bytes
    /// follow, nil where that is not known.
    public func beginFile(_ path: WorkPath, mode: UInt32, size: UInt64? = nil) throws(EngineError) {
        let parent = try open(path)
        // Refused before the bytes have travelled.
        guard size ?? 0 <= UInt64(limit - written) else { throw tooLarge }
        let bits = mode & UploadStaging.modeMask
        let name = path.components.last ?? ""
        file = try attempt(path) { () throws(SystemCallError) in
            try FileDescriptor.open(
                name, in: parent, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: bits == 0 ? 0o644 : bits)
        }
        // The mode of open(2) is cut by the umask.
        if let file {
            try attempt(path) { () throws(SystemCallError) in
                try retrying("chmod") { fchmod(file.number, bits == 0 ? 0o644 : bits) }
            }
        }
        fileSize = 0
        announced = size
        files.append("\(path)")
    }

    /// Adds bytes to the file that was begun last.
    public func write(_ bytes: [UInt8]) throws(EngineError) {
        guard let file else { throw EngineError(.invalidArgument, "upload content without a file") }
        guard Int64(bytes.count) <= limit - written else { throw tooLarge }
        if let announced, UInt64(fileSize + bytes.count) > announced {
            throw EngineError(
                .invalidArgument, "upload '\(files.last ?? "")' is longer than the \(announced) bytes announced")
        }
        do throws(SystemCallError) {
            try file.write(bytes, at: fileSize)
        } catch {
            throw EngineError(.unavailable, "cannot store an upload: \(error)")
        }
        fileSize += bytes.count
        written += Int64(bytes.count)
    }

    /// Makes a directory.
    public func makeDirectory(_ path: WorkPath, mode: UInt32) throws(EngineError) {
        let parent = try open(path)
        let bits = mode & UploadStaging.modeMask
        let name = path.components.last ?? ""
        try attempt(path) { () throws(SystemCallError) in
            // Made already as the parent of an earlier file: then only the mode is new.
            if mkdirat(parent.number, name, 0o755) != 0, errno != EEXIST { throw .current("mkdir") }
            let made = try FileDescriptor.open(name, in: parent, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try retrying("chmod") { fchmod(made.number, bits == 0 ? 0o755 : bits) }
        }
    }

    /// Ends the file that was begun last; throws `invalidArgument` where bytes of it are missing.
    public func endFile() throws(EngineError) {
        guard file != nil else { return }
        file = nil
        if let announced, UInt64(fileSize) < announced {
            throw EngineError(
                .invalidArgument,
                "upload '\(files.last ?? "")' has \(fileSize) bytes instead of the \(announced) announced")
        }
    }

    /// Removes everything.
    public func discard() {
        file = nil
        root = nil
        try? Directory.removeTree(path)
    }

    /// The directory that holds `path`, made where it is missing; refuses a path that came before.
    private func open(_ path: WorkPath) throws(EngineError) -> FileDescriptor {
        try endFile()
        guard !path.components.isEmpty else {
            throw EngineError(.invalidArgument, "invalid path '': it names the work directory itself")
        }
        // A path may make many directories, and each takes an inode of the host.
        guard seen.count + folders < UploadStaging.maxEntries else {
            throw EngineError(
                .resourceExhausted, "more than \(UploadStaging.maxEntries) files and directories are uploaded")
        }
        guard seen.insert(path).inserted else {
            throw EngineError(.invalidArgument, "path '\(path)' is uploaded twice")
        }
        let staging = self.path
        return try attempt(path) { () throws(SystemCallError) in
            if root == nil {
                try Directory.create(staging)
                root = try FileDescriptor.openDirectory(staging)
            }
            guard var directory = root else { throw SystemCallError("open the staging area", code: EBADF) }
            for name in path.components.dropLast() {
                if mkdirat(directory.number, name, 0o755) == 0 {
                    folders += 1
                } else if errno != EEXIST {
                    throw .current("mkdir")
                }
                // Beneath and without links, whatever an earlier entry made of the tree.
                let number = joblet_openat2(
                    directory.number, name, UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0,
                    UInt64(JOBLET_RESOLVE_BENEATH | JOBLET_RESOLVE_NO_SYMLINKS))
                directory = FileDescriptor(owning: try check(number, "open"))
            }
            return directory
        }
    }

    private var tooLarge: EngineError {
        EngineError(.resourceExhausted, "uploads are larger than the server's limit of \(limit) bytes")
    }

    @discardableResult
    private func attempt<Value>(
        _ path: WorkPath, _ body: () throws(SystemCallError) -> Value
    ) throws(EngineError) -> Value {
        do {
            return try body()
        } catch {
            let isUsers = [ENOTDIR, EEXIST, ENAMETOOLONG, ELOOP].contains(error.code)
            throw EngineError(isUsers ? .invalidArgument : .unavailable, "cannot store upload '\(path)': \(error)")
        }
    }
}
