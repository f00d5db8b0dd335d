import FoundationEssentials
import GRPCCore
import Glibc
import JobletAPI

/// What a copy brought.
struct CopyResult: Sendable {
    let destination: String
    let files: Int
    let bytes: UInt64
    /// What was left out, and why.
    let skipped: [String]
}

/// Writes a copied tree below one place and nowhere else: every folder on the way is opened without following links.
final class CopyWriter {
    private let destination: String
    /// The folder that holds the copy, and the name of the copy in it.
    private let parent: Descriptor
    private let name: CopyPath.Name

    private var file: CopiedFile?
    private var folderModes: [(path: CopyPath, mode: mode_t)] = []
    private var files = 0
    private var entries = 0
    private var bytes: UInt64 = 0
    private var skipped: [String] = []

    /// Takes the destination of the user, and the name that the copy has inside it if it is a directory.
    init(_ destination: String, name: String) throws {
        var status = stat()
        let isDirectory = stat(destination, &status) == 0 && status.isDirectory
        let folder: String
        if isDirectory {
            folder = destination
            self.name = Array(name.utf8CString)
            self.destination = destination.hasSuffix("/") ? destination + name : "\(destination)/\(name)"
        } else {
            let parts = destination.split(separator: "/")
            guard let last = parts.last, last != ".", last != "..", !destination.hasSuffix("/") else {
                throw Failure(.local, "\(destination): no such directory")
            }
            folder = (destination.hasPrefix("/") ? "/" : "") + parts.dropLast().joined(separator: "/")
            self.name = Array(String(last).utf8CString)
            self.destination = destination
        }
        parent = try Descriptor(Glibc.open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder)
    }

    /// Starts the next entry.
    func begin(_ header: Joblet_Ext_CopyHeader) throws {
        try endFile()
        let path = try CopyPath(header.path)
        guard !header.leftOut else {
            let shown = path.name == nil ? destination : CopyPath.text(header.path)
            skipped.append("\(shown): neither a file, a directory nor a link, or too deep")
            return
        }
        entries += 1
        let folder = try self.folder(of: path)
        let (name, shown) = (path.name ?? self.name, CopyPath.text(header.path))
        // Bits that give rights to others than the owner of the copy are of no use here.
        let mode = mode_t(header.mode & 0o777)
        if !header.symlinkTarget.isEmpty {
            try link(name, in: folder, path: path, target: header.symlinkTarget)
        } else if header.isDirectory {
            // Writable until everything is in it.
            guard mkdirat(folder.number, name, 0o700) == 0 || errno == EEXIST else { throw failure(shown) }
            _ = try open(name, in: folder, shownAs: shown)
            folderModes.append((path, mode))
        } else {
            file = try CopiedFile(name: name, mode: mode, size: header.size, folder: folder, shown: shown)
        }
    }

    /// Continues the file of the header before.
    func write(_ content: Data) throws {
        guard let file else { throw Failure(.server(.dataLoss), "the server sent content without a file") }
        try file.write(content)
    }

    /// Ends the last file and gives the folders their modes.
    func finish() throws -> CopyResult {
        try endFile()
        for (path, mode) in folderModes.reversed() {
            let name = path.name ?? self.name
            let folder = try open(name, in: self.folder(of: path), shownAs: CopyPath.text(name))
            guard fchmod(folder.number, mode) == 0 else { throw failure(CopyPath.text(name)) }
        }
        guard entries > 0 else {
            throw Failure(.local, "nothing was copied: \(skipped.first ?? "the server sent nothing")")
        }
        return CopyResult(destination: destination, files: files, bytes: bytes, skipped: skipped)
    }

    private func endFile() throws {
        guard let file else { return }
        try file.publish()
        files += 1
        bytes += file.size
        self.file = nil
    }

    private func folder(of path: CopyPath) throws -> Descriptor {
        guard path.name != nil else { return parent }
        return try ([name] + path.folders).reduce(parent) { folder, name in
            try open(name, in: folder, shownAs: CopyPath.text(name))
        }
    }

    private func open(_ name: CopyPath.Name, in folder: Descriptor, shownAs shown: String) throws -> Descriptor {
        let number = openat(folder.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        return try Descriptor(number, shown)
    }

    private func link(_ name: CopyPath.Name, in folder: Descriptor, path: CopyPath, target: Data) throws {
        guard path.allows(target: target) else {
            entries -= 1
            skipped.append("\(CopyPath.text(name)) -> \(CopyPath.text(target))")
            return
        }
        guard unlinkat(folder.number, name, 0) == 0 || errno == ENOENT,
            symlinkat(target.map { CChar(bitPattern: $0) } + [0], folder.number, name) == 0
        else { throw failure(CopyPath.text(name)) }
    }

    private func failure(_ path: String) -> Failure {
        Failure(.local, "cannot write \(path.isEmpty ? destination : path): \(systemText(errno))")
    }
}

/// A file that appears under its name when it is complete.
private final class CopiedFile {
    let size: UInt64
    private let name: CopyPath.Name
    private let shown: String
    private let temporary: String
    private let folder: Descriptor
    private let descriptor: Descriptor
    private let mode: mode_t
    private var written: UInt64 = 0
    private var isPublished = false

    init(name: CopyPath.Name, mode: mode_t, size: UInt64, folder: Descriptor, shown: String) throws {
        self.name = name
        self.shown = shown.isEmpty ? CopyPath.text(name) : shown
        self.mode = mode
        self.size = size
        self.folder = folder
        temporary = ".rnx-\(String(UInt64.random(in: .min ... .max), radix: 16))"
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        descriptor = try Descriptor(openat(folder.number, temporary, flags, 0o600), self.shown)
    }

    deinit {
        if !isPublished { unlinkat(folder.number, temporary, 0) }
    }

    func write(_ content: Data) throws {
        written += UInt64(content.count)
        guard written <= size else {
            throw Failure(.server(.dataLoss), "\(shown): the server sent more than \(size) bytes")
        }
        try content.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(
                    descriptor.number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count >= 0 else { throw Failure(.local, "cannot write \(shown): \(systemText(errno))") }
                rest = rest.dropFirst(count)
            }
        }
    }

    func publish() throws {
        guard written == size else {
            throw Failure(.server(.dataLoss), "\(shown): \(written) of \(size) bytes arrived")
        }
        guard fchmod(descriptor.number, mode) == 0,
            renameat(folder.number, temporary, folder.number, name) == 0
        else { throw Failure(.local, "cannot write \(shown): \(systemText(errno))") }
        isPublished = true
    }
}

/// A file descriptor that is closed with its owner.
private final class Descriptor {
    let number: Int32

    /// Takes what `open` returned for `path`, and `errno` if that is negative.
    init(_ number: Int32, _ path: String) throws {
        guard number >= 0 else { throw Failure(.local, "cannot open \(path): \(systemText(errno))") }
        self.number = number
    }

    deinit {
        close(number)
    }
}
