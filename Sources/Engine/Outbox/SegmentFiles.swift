import Glibc
public import Kernel

/// The files of a job's outbox: `index.<n>`, `stdout.<n>`, `stderr.<n>` in one directory.
public struct SegmentFiles: Sendable {
    /// The job's directory.
    public let path: String

    /// The outbox of `job` below `root`.
    public init(root: String, job: OutboxJob) {
        path = "\(root)/\(job.directoryName)"
    }

    func index(_ number: UInt32) -> String { "\(path)/index.\(number)" }
    func data(_ stream: OutputStream, _ number: UInt32) -> String { "\(path)/\(stream.name).\(number)" }

    /// The numbers of the segments that exist, ascending; none where there is no directory.
    public func numbers() throws(SystemCallError) -> [UInt32] {
        let names: [String]
        do {
            names = try Directory.names(in: path)
        } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
        return names.compactMap { $0.hasPrefix("index.") ? UInt32($0.dropFirst(6)) : nil }.sorted()
    }

    /// The header of a segment; nil where the file is missing or holds none.
    public func header(of number: UInt32) throws(SystemCallError) -> SegmentHeader? {
        do {
            let file = try FileDescriptor.open(index(number), flags: O_RDONLY)
            return SegmentHeader(try file.read(at: 0, count: SegmentHeader.size))
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    /// Removes one segment, its index last, so that an interrupted removal is found and repeated.
    public func remove(_ number: UInt32) throws(SystemCallError) {
        for stream in OutputStream.allCases {
            try FailPoint.pass("outbox.unlinkData")
            if unlink(data(stream, number)) != 0, errno != ENOENT { throw .current("unlink \(stream.name).\(number)") }
        }
        try FailPoint.pass("outbox.unlinkIndex")
        if unlink(index(number)) != 0, errno != ENOENT { throw .current("unlink index.\(number)") }
    }

    /// Removes the whole outbox of the job.
    public func removeAll() throws(SystemCallError) {
        try Directory.removeTree(path)
    }

    /// The bytes that a segment's files hold, index included.
    func size(of number: UInt32) -> Int {
        [index(number), data(.stdout, number), data(.stderr, number)].reduce(0) { sum, path in
            var status = stat()
            return stat(path, &status) == 0 ? sum + status.st_size : sum
        }
    }
}
