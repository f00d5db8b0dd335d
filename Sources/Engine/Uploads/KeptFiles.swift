import CLinux
import Glibc
import Kernel
public import Storage

/// Reads what a job left in its kept work directory, entry by entry; holds one open file, and until `close` the directory.
public actor KeptFiles {
    /// An entry of the copied tree.
    public struct Entry: Sendable, Hashable {
        /// The path below the copied one, of any bytes but NUL; empty for that one itself.
        public let path: [UInt8]
        /// Permission bits.
        public let mode: UInt32
        /// Whether it is a directory.
        public let isDirectory: Bool
        /// Bytes of content that follow.
        public let size: UInt64
        /// Where a symbolic link points to; empty for others.
        public let linkDestination: [UInt8]
        /// Whether it is something that is not copied: a socket, a device, a pipe, or too deep for a path.
        public var isLeftOut = false
    }

    /// What comes next.
    public enum Piece: Sendable, Hashable {
        /// A new entry; a directory comes before what it holds.
        case entry(Entry)
        /// More of the file whose entry came last.
        case content([UInt8])
    }

    private static let chunk = 256 << 10

    /// Not those of the journal and the stores: a job may have left millions of names in a directory.
    private static let threads = BlockingExecutor(count: 2)
    /// So many names of one directory are held at a time.
    private static let mostNames = 1 << 18

    private let thread = KeptFiles.threads.thread()
    private var root: FileDescriptor?
    private var pending: [(relative: FileName, shown: FileName)]
    private var file: FileDescriptor?
    private var offset: UInt64 = 0
    private var left: UInt64 = 0

    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// A reader of `path` below the directory `root`.
    init(root: FileDescriptor, path: WorkPath) {
        self.root = root
        pending = [(FileName(path.components.isEmpty ? "." : path.description), FileName(""))]
    }

    /// Lets go of the directory; nothing comes any more.
    func close() {
        (root, file, pending, left) = (nil, nil, [], 0)
    }

    /// The next entry or part of a file; nil after the last. Of sockets, devices, pipes and what is too deep for a path
    /// it is told that they are left out.
    public func next() throws(EngineError) -> Piece? {
        do throws(SystemCallError) {
            if left > 0, let file {
                let bytes = try file.read(at: Int(offset), count: Int(min(left, UInt64(KeptFiles.chunk))))
                // A file that shrinks while it is copied would leave a hole: that is an error, not an end.
                guard !bytes.isEmpty else {
                    throw SystemCallError("a file became shorter while it was copied", code: EIO)
                }
                offset += UInt64(bytes.count)
                left -= UInt64(bytes.count)
                return .content(bytes)
            }
            file = nil
            while let (relative, shown) = pending.popLast() {
                if let entry = try open(relative, shown) { return .entry(entry) }
            }
            return nil
        } catch {
            let code: EngineError.Code =
                switch error.code {
                case ENOENT, ENOTDIR: .notFound
                case ELOOP, EXDEV: .invalidArgument
                case E2BIG: .resourceExhausted
                default: .unavailable
                }
            throw EngineError(code, "cannot copy: \(error)")
        }
    }

    /// The entry at `relative`; nil where it is no file, or is gone or replaced since its directory was read.
    private func open(_ relative: FileName, _ shown: FileName) throws(SystemCallError) -> Entry? {
        do {
            return try openNow(relative, shown)
        } catch {
            guard !shown.isEmpty else { throw error }
            switch error.code {
            case ENOENT, ENOTDIR, ELOOP, EXDEV: return nil
            case ENAMETOOLONG: return .leftOut(shown)
            default: throw error
            }
        }
    }

    private func openNow(_ relative: FileName, _ shown: FileName) throws(SystemCallError) -> Entry? {
        guard let root else { return nil }
        // The job may have made any link, and may be changing the tree now: nothing leaves the directory.
        let resolve = UInt64(JOBLET_RESOLVE_BENEATH | JOBLET_RESOLVE_NO_SYMLINKS)
        let path = FileDescriptor(
            owning: try check(
                joblet_openat2(
                    root.number, relative.cString, UInt64(JOBLET_O_PATH | O_NOFOLLOW | O_CLOEXEC), 0, resolve),
                "open \(relative)"))
        var status = stat()
        try retrying("stat \(relative)") { fstat(path.number, &status) }
        let mode = UInt32(status.st_mode & 0o777)
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            let names = try FileName.all(
                in: FileDescriptor.openDirectory("/proc/self/fd/\(path.number)"), limit: KeptFiles.mostNames)
            for name in names.sorted(by: { $1 < $0 }) {
                pending.append((relative.appending(name), shown.appending(name)))
            }
            return Entry(path: shown.bytes, mode: mode, isDirectory: true, size: 0, linkDestination: [])
        case S_IFREG:
            // The same file once more: at its name the job may have put a pipe, on which open(2) waits.
            file = try FileDescriptor.open("/proc/self/fd/\(path.number)", flags: O_RDONLY | O_NONBLOCK)
            offset = 0
            left = UInt64(status.st_size)
            return Entry(path: shown.bytes, mode: mode, isDirectory: false, size: left, linkDestination: [])
        case S_IFLNK:
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = try retrying("readlink \(relative)") { readlinkat(path.number, "", &buffer, buffer.count) }
            let destination = buffer.prefix(count).map { UInt8(bitPattern: $0) }
            return Entry(path: shown.bytes, mode: mode, isDirectory: false, size: 0, linkDestination: destination)
        default: return .leftOut(shown)
        }
    }
}

extension KeptFiles.Entry {
    fileprivate static func leftOut(_ path: FileName) -> Self {
        Self(path: path.bytes, mode: 0, isDirectory: false, size: 0, linkDestination: [], isLeftOut: true)
    }
}

extension JobEngine {
    /// Calls `body` with what lies below `path` in the work directory that a job keeps; `path` may be absolute in the job.
    public nonisolated func readKeptFiles(
        of id: JobID, path: String, _ body: (KeptFiles.Piece) async throws -> Void
    ) async throws {
        let files = try await keptFiles(of: id, path: path)
        do {
            while let piece = try await files.next() { try await body(piece) }
        } catch {
            await close(files, of: id)
            throw error
        }
        await close(files, of: id)
    }

    private func close(_ files: KeptFiles, of id: JobID) async {
        await files.close()
        await workDirectories.release(id)
        // The files of a job that runs are shown to whoever looks at the host.
        if hot[id]?.job.record.status.isTerminal ?? true { await workDirectories.close(id) }
    }

    private func keptFiles(of id: JobID, path: String) async throws(EngineError) -> KeptFiles {
        let record = try await record(of: id)
        guard keepsFiles(record) else {
            throw EngineError(
                .failedPrecondition, "job \(id) does not keep its work directory (run it with --keep-work)")
        }
        var relative = path
        if path.utf8.first == UInt8(ascii: "/") {
            let work = configuration.workspaceDirectory
            guard path.utf8.elementsEqual(work.utf8) || path.utf8.starts(with: "\(work)/".utf8) else {
                throw EngineError(.invalidArgument, "only files below \(work) can be copied, not '\(path.prefix(128))'")
            }
            relative = String(
                decoding: path.utf8.dropFirst(work.utf8.count).drop { $0 == UInt8(ascii: "/") }, as: UTF8.self)
        }
        let checked = try WorkPath(relative)
        guard let root = try await workDirectories.open(id) else {
            throw EngineError(.notFound, "job \(id) left no files")
        }
        return KeptFiles(root: root, path: checked)
    }
}
