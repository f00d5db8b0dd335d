import Glibc
import Storage
import Synchronization

/// The jobs whose logs were deleted, so that a writer that has not heard of it is refused.
///
/// Kept in the file `deleted`: records of 20 bytes, the job's id (16 bytes, most significant first) and
/// their CRC-32. What stops a writer for good is the job's tombstone; this list bridges the time until
/// it hears of that, so only the newest 65,536 are kept when a store is opened.
final class DeletedJobs: Sendable {
    private static let recordSize = 20
    private static let kept = 65_536

    private struct State {
        var jobs: Set<JobID>
        var length: UInt64
    }

    private let path: String
    private let durability: Durability
    private let state: Mutex<State>

    /// The jobs that the file in `root` names.
    init(in root: String, durability: Durability) throws(StorageError) {
        path = "\(root)/deleted"
        self.durability = durability
        let records = try Self.load(path)
        if records.count > 2 * Self.kept {
            let newest = records.suffix(Self.kept)
            try Self.rewrite(path, newest, durability)
            state = Mutex(State(jobs: Set(newest), length: UInt64(newest.count * Self.recordSize)))
        } else {
            state = Mutex(State(jobs: Set(records), length: UInt64(records.count * Self.recordSize)))
        }
    }

    /// The jobs.
    var jobs: Set<JobID> { state.withLock { $0.jobs } }

    /// Whether a job's log was deleted.
    func contains(_ job: JobID) -> Bool {
        state.withLock { $0.jobs.contains(job) }
    }

    /// Remembers a job, then calls `remove` for what it has; on a full disk the other way round, for that makes the room.
    func insert(_ job: JobID, removing remove: () throws(StorageError) -> Void) throws(StorageError) {
        do throws(StorageError) {
            try insert(job)
        } catch .quota {
            try remove()
            return try insert(job)
        }
        try remove()
    }

    /// Remembers a job, durably to the store's level.
    func insert(_ job: JobID) throws(StorageError) {
        try state.withLock { (state) throws(StorageError) in
            guard !state.jobs.contains(job) else { return }
            guard let file = try File.open(path, O_WRONLY | O_CREAT) else {
                throw .unavailable(reason: "\(path) cannot be made")
            }
            try file.write(Self.record(of: job), at: state.length)
            if durability == .power {
                try file.synchronize()
                if state.length == 0 { try Directory.synchronize(Directory.parent(of: path)) }
            }
            state.length += UInt64(Self.recordSize)
            state.jobs.insert(job)
        }
    }

    private static func record(of job: JobID) -> [UInt8] {
        var writer = ByteWriter(capacity: recordSize)
        writer.write(job.words.high.byteSwapped)
        writer.write(job.words.low.byteSwapped)
        writer.write(writer.bytes.withUnsafeBytes { crc32($0) })
        return writer.bytes
    }

    /// The jobs up to the first record that is not whole.
    private static func load(_ path: String) throws(StorageError) -> [JobID] {
        guard let file = try File.open(path, O_RDONLY) else { return [] }
        let size = try file.identity().size
        let source = try LogFiles.read(file, at: 0, count: Int(size))
        var jobs: [JobID] = []
        source.withUnsafeBytes { buffer in
            var reader = ByteReader(buffer)
            while let high = reader.read(UInt64.self), let low = reader.read(UInt64.self),
                let crc = reader.read(UInt32.self)
            {
                let job = JobID(high: high.byteSwapped, low: low.byteSwapped)
                let stored = withUnsafeBytes(of: crc.littleEndian, Array.init)
                guard record(of: job).suffix(4) == stored[...] else { return }
                jobs.append(job)
            }
        }
        return jobs
    }

    private static func rewrite(
        _ path: String, _ jobs: ArraySlice<JobID>, _ durability: Durability
    ) throws(StorageError) {
        let new = "\(path).new"
        guard let file = try File.open(new, O_WRONLY | O_CREAT | O_TRUNC) else {
            throw .unavailable(reason: "\(new) cannot be made")
        }
        try file.write(Array(jobs.map(record).joined()), at: 0)
        if durability == .power { try file.synchronize() }
        guard rename(new, path) == 0 else { throw StorageError(errno: errno, "rename", new) }
        if durability == .power { try Directory.synchronize(Directory.parent(of: path)) }
    }
}
