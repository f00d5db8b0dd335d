import Glibc
import Storage

/// The files of one job's samples: a directory named by the job's id, and in it files named by the time of their
/// first sample.
struct MetricFiles {
    private static let suffix = ".jsonl.gz"

    /// The directory of all samples.
    let root: String
    /// The job's directory.
    let directory: String
    private let job: String

    init(of job: JobID, in root: String) {
        self.root = root
        self.job = job.description
        directory = "\(root)/\(job)"
    }

    /// The path of the file with that number, nanoseconds since 1970.
    func path(_ number: Int64) -> String { "\(directory)/\(number)\(Self.suffix)" }

    /// A place in a file as errors name it: by the job, without the root.
    func place(_ number: Int64, _ offset: UInt64) -> String { "\(job)/\(number)\(Self.suffix) at \(offset)" }

    /// The numbers of the files, ascending.
    func numbers() throws(StorageError) -> [Int64] {
        try Directory.names(in: directory).compactMap { name in
            guard name.hasSuffix(Self.suffix), let number = Int64(name.dropLast(Self.suffix.count)),
                "\(number)\(Self.suffix)" == name
            else { return nil }
            return number
        }.sorted()
    }

    /// The whole content of a file; nil where it does not exist.
    func content(_ number: Int64) throws(StorageError) -> (bytes: [UInt8], identity: File.Identity)? {
        guard let file = try File.open(path(number), O_RDONLY) else { return nil }
        let identity = try file.identity()
        return (try LogFiles.read(file, at: 0, count: Int(identity.size)), identity)
    }

    /// `count` bytes of a file from `offset` on; nil where it does not exist.
    func read(_ number: Int64, at offset: UInt64, count: Int) throws(StorageError) -> [UInt8]? {
        guard let file = try File.open(path(number), O_RDONLY) else { return nil }
        return try LogFiles.read(file, at: offset, count: count)
    }

    /// Writes `bytes` at `offset`, which is the end of the file or where it is cut first; returns its new identity.
    func write(
        _ bytes: [UInt8], to number: Int64, at offset: UInt64, durability: Durability
    ) throws(StorageError) -> File.Identity {
        if offset == 0 { try Directory.create(directory) }
        guard let file = try File.open(path(number), offset == 0 ? O_WRONLY | O_CREAT : O_WRONLY) else {
            throw .unavailable(reason: "\(path(number)) was removed")
        }
        // What a write left behind that did not come to its end.
        if try file.identity().size > offset { try file.truncate(to: offset) }
        try file.write(bytes, at: offset)
        if durability == .power { try file.synchronize() }
        if offset == 0, durability == .power {
            try Directory.synchronize(directory)
            try Directory.synchronize(root)
        }
        // The directory's time is that of the last write too: what cleans up by age looks at it.
        guard utimensat(AT_FDCWD, directory, nil, 0) == 0 else {
            throw StorageError(errno: errno, "utimensat", directory)
        }
        return try file.identity()
    }

    /// Removes one file; no error where it is gone.
    func remove(_ number: Int64) throws(StorageError) {
        try Directory.remove(file: path(number))
    }

    /// Drops the first `length` bytes of a file, at once.
    func removeBeginning(of number: Int64, upTo length: UInt64, durability: Durability) throws(StorageError) {
        guard let (bytes, _) = try content(number) else { return }
        let new = "\(path(number)).new"
        guard let file = try File.open(new, O_WRONLY | O_CREAT | O_TRUNC) else {
            throw .unavailable(reason: "\(directory) was removed")
        }
        try file.write(Array(bytes.dropFirst(Int(length))), at: 0)
        if durability == .power { try file.synchronize() }
        try Directory.rename(new, to: path(number))
        if durability == .power { try Directory.synchronize(directory) }
    }

    /// Removes the files, the newest first: what an interrupted removal leaves is found and removed again.
    func remove() throws(StorageError) {
        for number in try numbers().reversed() { try Directory.remove(file: path(number)) }
        // What an interrupted trim left.
        for name in try Directory.names(in: directory) where name.hasSuffix(".new") {
            try Directory.remove(file: "\(directory)/\(name)")
        }
        try Directory.removeIfEmpty(directory)
    }
}
