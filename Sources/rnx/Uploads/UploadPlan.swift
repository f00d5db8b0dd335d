import GRPCCore
import Glibc

/// A file or directory that travels with a job.
struct UploadEntry: Equatable {
    /// Relative to the work directory of the job.
    let path: String
    /// Where it is on this side.
    let source: String
    /// Permission bits.
    let mode: UInt32
    let isDirectory: Bool
    /// Bytes; 0 for a directory.
    let size: UInt64
}

/// Everything that travels with a job, each path once, directories before what they hold.
struct UploadPlan {
    private(set) var entries: [UploadEntry] = []
    private(set) var totalBytes: UInt64 = 0
    private var places: [String: Int] = [:]

    /// Looks at the files, and at all that the directories hold. Reads no content.
    init(files: [String], directories: [String]) throws(Failure) {
        for file in files { try add(file: file) }
        for directory in directories {
            do {
                let tree = try UploadTree(directory)
                for entry in try tree.entries() { try add(entry) }
            } catch {
                throw Failure(error.kind, "directory upload failed for \(directory): \(error.message)")
            }
        }
    }

    /// Throws when the server would not take so much; 0 = the server names no limit.
    func check(maximumBytes: UInt64) throws(Failure) {
        guard maximumBytes == 0 || totalBytes <= maximumBytes else {
            throw Failure(
                .server(.resourceExhausted),
                """
                uploads are too large: \(SizeText.megabytes(totalBytes)), the server takes at most \
                \(SizeText.megabytes(maximumBytes))
                """)
        }
    }

    private mutating func add(file: String) throws(Failure) {
        var status = stat()
        guard stat(file, &status) == 0 else {
            throw Failure(.local, "cannot access upload file \(file): \(systemText(errno))")
        }
        guard !status.isDirectory else { throw Failure(.local, "use --upload-dir for directories: \(file)") }
        guard status.isRegular else { throw Failure(.local, "cannot read upload file \(file): not a regular file") }
        guard access(file, R_OK) == 0 else {
            throw Failure(.local, "cannot read upload file \(file): \(systemText(errno))")
        }
        let name = file.split(separator: "/").last.map(String.init) ?? file
        try add(
            UploadEntry(
                path: name, source: file, mode: status.st_mode & 0o777, isDirectory: false,
                size: UInt64(status.st_size)))
    }

    private mutating func add(_ entry: UploadEntry) throws(Failure) {
        if let index = places[entry.path] {
            // Two trees may share a directory, but nothing else.
            guard entry.isDirectory, entries[index].isDirectory else {
                throw Failure(
                    .local, "two uploads have the path \(entry.path): \(entries[index].source), \(entry.source)")
            }
            return
        }
        places[entry.path] = entries.count
        entries.append(entry)
        totalBytes += entry.size
    }
}

extension stat {
    var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
    var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    var isSymbolicLink: Bool { st_mode & S_IFMT == S_IFLNK }
}
