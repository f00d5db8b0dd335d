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
        try removeData(number)
        try FailPoint.pass("outbox.beforeUnlinkIndex")
        if unlink(index(number)) != 0, errno != ENOENT { throw .current("unlink index.\(number)") }
        try FailPoint.pass("outbox.afterUnlinkIndex")
    }

    /// Removes the data files of one segment.
    func removeData(_ number: UInt32) throws(SystemCallError) {
        for stream in OutputStream.allCases {
            try FailPoint.pass("outbox.beforeUnlinkData")
            if unlink(data(stream, number)) != 0, errno != ENOENT { throw .current("unlink \(stream.name).\(number)") }
            try FailPoint.pass("outbox.afterUnlinkData")
        }
    }

    /// Takes the outbox for the one writer it may have; held as long as the descriptor lives.
    ///
    /// Throws EWOULDBLOCK while another process writes: a pump that outlived its shim, say.
    public func lock() throws(SystemCallError) -> FileDescriptor {
        try Directory.create(path)
        let directory = try FileDescriptor.openDirectory(path)
        try retrying("lock \(path)") { flock(directory.number, LOCK_EX | LOCK_NB) }
        return directory
    }

    /// Removes the whole outbox of the job.
    public func removeAll() throws(SystemCallError) {
        try Directory.removeTree(path)
    }

    /// The bytes that a segment's files hold, index included.
    func size(of number: UInt32) throws(SystemCallError) -> Int {
        var sum = 0
        for path in [index(number), data(.stdout, number), data(.stderr, number)] {
            sum += try SegmentFiles.size(path) ?? 0
        }
        return sum
    }

    /// The size of one stream's file in a segment; nil where there is none.
    func dataSize(_ stream: OutputStream, _ number: UInt32) throws(SystemCallError) -> UInt64? {
        try SegmentFiles.size(data(stream, number)).map { UInt64($0) }
    }

    /// Only a missing file has no size: a disk that fails must not look like an empty outbox.
    private static func size(_ path: String) throws(SystemCallError) -> Int? {
        var status = stat()
        if stat(path, &status) == 0 { return status.st_size }
        if errno == ENOENT { return nil }
        throw .current("stat \(path)")
    }

    /// Whether the removal of a segment began: bytes that it held, up to where `next` begins, have no file.
    func isHalfRemoved(_ segment: SegmentHeader, next: SegmentHeader) throws(SystemCallError) -> Bool {
        for stream in OutputStream.allCases where next.offsets[stream.slot] > segment.offsets[stream.slot] {
            if try dataSize(stream, segment.number) == nil { return true }
        }
        return false
    }
}
