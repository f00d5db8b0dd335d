import Glibc
import Storage

/// The files of one job's log: a directory named by the job's id, and in it one file a stream and the
/// index.
struct LogFiles {
    /// The directory of all logs.
    let root: String
    /// The job's directory.
    let directory: String
    private let name: String

    init(of job: JobID, in root: String) {
        self.root = root
        name = job.description
        directory = "\(root)/\(name)"
    }

    var index: String { "\(directory)/index" }

    func data(of stream: LogStream) -> String { "\(directory)/\(stream.name).log.gz" }

    /// The files as errors name them: by the job, without the root.
    var indexName: String { "\(name)/index" }
    func dataName(of stream: LogStream) -> String { "\(name)/\(stream.name).log.gz" }

    /// The index as it stands; nil where nothing was committed.
    func loadIndex(of job: JobID) throws(StorageError) -> LogIndex? {
        guard let file = try File.open(index, O_RDONLY) else { return nil }
        let reader = IndexFile(file)
        let source = IndexSource(size: try reader.file.identity().size) { (offset, buffer) throws(StorageError) in
            try reader.file.read(into: buffer, at: offset)
        }
        return try LogIndex(of: job, place: indexName, source: source)
    }

    /// Makes the directory with the files of a log without blocks.
    ///
    /// The index is the last one, so that files without it are those of an interrupted beginning.
    func create(for job: JobID) throws(StorageError) -> File.Identity {
        try Directory.create(directory)
        for stream in LogStream.allCases {
            try replace(data(of: stream), by: Gzip.emptyMember)
        }
        try replace(index, by: LogIndex.header(of: job))
        guard let identity = try File.identity(of: index) else {
            throw .unavailable(reason: "\(index) was removed while it was made")
        }
        return identity
    }

    /// Writes at the end of a file, which is cut there first if it is longer; returns its new identity.
    @discardableResult
    func write(_ bytes: [UInt8], to path: String, at offset: UInt64) throws(StorageError) -> File.Identity {
        guard let file = try File.open(path, O_WRONLY) else {
            throw .unavailable(reason: "\(path) was removed")
        }
        // What a write left behind that did not come to its end.
        if try file.identity().size > offset { try file.truncate(to: offset) }
        try file.write(bytes, at: offset)
        return try file.identity()
    }

    /// Up to `count` bytes of a file; none where it does not exist.
    func read(_ path: String, at offset: UInt64, count: Int) throws(StorageError) -> [UInt8] {
        guard let file = try File.open(path, O_RDONLY) else { return [] }
        return try Self.read(file, at: offset, count: count)
    }

    /// Up to `count` bytes of an open file.
    static func read(_ file: borrowing File, at offset: UInt64, count: Int) throws(StorageError) -> [UInt8] {
        var bytes: [UInt8] = []
        try bytes.append(addingCapacity: count) { (span) throws(StorageError) in
            try span.withUnsafeMutableBufferPointer { (buffer, initialized) throws(StorageError) in
                let target = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
                initialized = try file.read(into: UnsafeMutableRawBufferPointer(target), at: offset)
            }
        }
        return bytes
    }

    /// The length of a stream's file; 0 where it does not exist.
    func length(of stream: LogStream) throws(StorageError) -> UInt64 {
        try File.identity(of: data(of: stream))?.size ?? 0
    }

    /// The lengths of all files and the times at which they were written; nil where there are none.
    func usage(of job: JobID) throws(StorageError) -> JobUsage? {
        var usage: JobUsage?
        for path in [index, data(of: .stdout), data(of: .stderr)] {
            guard let size = try File.identity(of: path)?.size, let time = try File.modified(path) else { continue }
            let times = usage?.times ?? time...time
            usage = JobUsage(
                job: job, storedBytes: (usage?.storedBytes ?? 0) + size,
                times: min(times.lowerBound, time)...max(times.upperBound, time))
        }
        return usage
    }

    /// Cuts a file that is longer than `length`; returns its identity, nil where it does not exist.
    @discardableResult
    func cut(_ path: String, to length: UInt64) throws(StorageError) -> File.Identity? {
        guard let file = try File.open(path, O_WRONLY) else { return nil }
        if try file.identity().size > length { try file.truncate(to: length) }
        return try file.identity()
    }

    /// Makes a file's content durable; nothing where it was removed by hand.
    func synchronize(_ path: String) throws(StorageError) {
        guard let file = try File.open(path, O_WRONLY) else { return }
        try file.synchronize()
    }

    /// Makes the entries of the job's directory, and its own, durable.
    func synchronizeDirectories() throws(StorageError) {
        try Directory.synchronize(directory)
        try Directory.synchronize(root)
    }

    /// Removes the files, the index first: without it there is no log.
    func remove() throws(StorageError) {
        try Directory.remove(file: index)
        for stream in LogStream.allCases { try Directory.remove(file: data(of: stream)) }
        try Directory.remove(file: merge)
        try removeReplacement()
        try Directory.removeIfEmpty(directory)
    }

    /// Writes a file anew.
    func replace(_ path: String, by bytes: [UInt8]) throws(StorageError) {
        guard let file = try File.open(path, O_WRONLY | O_CREAT | O_TRUNC) else {
            throw .unavailable(reason: "\(path) cannot be made")
        }
        try file.write(bytes, at: 0)
    }
}

/// An index file that closures may share.
private final class IndexFile {
    let file: File

    init(_ file: consuming File) {
        self.file = file
    }
}
