import Glibc
import Kernel
import Storage

/// One job's samples in its outbox directory: files `metrics.<sequence of the first sample>`.
///
/// Written by the daemon alone. A sample is there once its record is whole; one that is not is cut when the files are
/// opened, and what lies behind damage becomes a file of its own. Used from one thread; nothing stays open between two
/// calls.
struct MetricSegments {
    /// A file grows to this size; a smaller one stays until the job is over.
    static let fileBytes = 256 << 10
    /// So many files may wait for a store; then the oldest goes.
    static let maximumFiles = 64

    private struct Segment {
        let base: UInt64
        /// Where each record begins, and behind the last where the next one will.
        var offsets: [Int]

        var end: UInt64 { base + UInt64(offsets.count - 1) }
    }

    private let root: String
    private let directory: String
    private let job: JobID
    private var segments: [Segment] = []
    /// The sequence of the next sample.
    private(set) var end: UInt64
    /// The time of the last sample; the least integer before the first.
    private(set) var time: Int64 = .min

    /// The sequence of the first sample that is kept.
    var base: UInt64 { segments.first?.base ?? end }

    /// Whether there are files.
    var isEmpty: Bool { segments.isEmpty }

    /// No files yet; the first sample will have the sequence `first`.
    init(root: String, job: JobID, first: UInt64) {
        self.root = root
        directory = "\(root)/\(job)"
        self.job = job
        end = first
    }

    /// What an earlier daemon left; nil where there is nothing.
    init?(existingIn root: String, job: JobID) throws(SystemCallError) {
        self.init(root: root, job: job, first: 0)
        let bases: [UInt64]
        do {
            bases = try Directory.names(in: directory).compactMap { name in
                name.hasPrefix("metrics.") ? UInt64(name.dropFirst(8)) : nil
            }.sorted()
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw error
        }
        for base in bases where !segments.contains(where: { $0.base == base }) { try recover(base) }
        if segments.isEmpty { return nil }
    }

    private func path(_ base: UInt64) -> String { "\(directory)/metrics.\(base)" }

    private mutating func recover(_ base: UInt64) throws(SystemCallError) {
        let file = try FileDescriptor.open(path(base), flags: O_RDWR)
        let bytes = try file.read(at: 0, count: try file.size())
        let found = MetricFileHeader(bytes)
        guard let header = found, header.job == job, header.base == base, segments.isEmpty || base >= end else {
            // Never begun, so that no sample in it was told to anyone, unless its header alone is damaged.
            let rest = found == nil ? try saveSamples(in: bytes[...]) : nil
            if rest != base { try remove(base) }
            if let rest { try recover(rest) }
            return
        }
        var segment = Segment(base: base, offsets: [MetricFileHeader.size])
        end = base
        time = max(time, header.time)
        var offset = MetricFileHeader.size
        while let (sample, length) = MetricRecord.decode(bytes[offset...]), sample.sequence == end {
            offset += length
            segment.offsets.append(offset)
            end += 1
            time = max(time, sample.time)
        }
        let rest = try saveSamples(in: bytes[offset...])
        if offset < bytes.count { try file.truncate(to: offset) }
        segments.append(segment)
        if let rest { try recover(rest) }
    }

    /// Writes what lies behind damage to a file of its own and returns its base; nil where nothing is whole.
    ///
    /// Its samples keep their sequences, and none is given a second time: a store may have them already.
    private func saveSamples(in bytes: ArraySlice<UInt8>) throws(SystemCallError) -> UInt64? {
        guard let (sample, start) = MetricRecord.first(in: bytes, from: end) else { return nil }
        let header = MetricFileHeader(job: job, base: sample.sequence, time: time)
        try DataDirectory.writeDurably(path(header.base), header.encoded + bytes[start...])
        return header.base
    }

    /// Adds a sample, with the next sequence and a time that does not go back.
    ///
    /// Throws where the disk refuses: then nothing was added.
    mutating func append(time: Int64, points: [MetricPoint], durability: Durability) throws(SystemCallError) {
        let time = max(time, self.time)
        if (segments.last?.offsets.last ?? .max) >= MetricSegments.fileBytes { try begin(durability) }
        guard let segment = segments.last, let offset = segment.offsets.last else { return }
        let bytes = MetricRecord.encode(MetricSample(sequence: end, time: time, points: points))
        let file = try FileDescriptor.open(path(segment.base), flags: O_RDWR)
        try FailPoint.pass("metrics.beforeAppend")
        do throws(SystemCallError) {
            try file.write(bytes, at: offset)
            if durability == .power { try file.synchronizeData() }
        } catch {
            // A part of a record must not stay before the next one.
            try file.truncate(to: offset)
            throw error
        }
        try FailPoint.pass("metrics.afterAppend")
        segments[segments.count - 1].offsets.append(offset + bytes.count)
        end += 1
        self.time = time
    }

    private mutating func begin(_ durability: Durability) throws(SystemCallError) {
        try Directory.create(directory)
        try FailPoint.pass("metrics.beforeCreate")
        let file = try FileDescriptor.open(path(end), flags: O_RDWR | O_CREAT | O_TRUNC)
        try FailPoint.pass("metrics.afterCreate")
        try file.write(MetricFileHeader(job: job, base: end, time: time).encoded, at: 0)
        if durability == .power {
            for path in [directory, root] { try Directory.synchronize(path) }
        }
        segments.append(Segment(base: end, offsets: [MetricFileHeader.size]))
    }

    /// At most `limit` samples from `sequence` on; they begin further on where the ones there were damaged.
    func read(from sequence: UInt64, limit: Int) throws(SystemCallError) -> [MetricSample] {
        guard let segment = segments.first(where: { $0.end > sequence }) else { return [] }
        let first = Int(max(sequence, segment.base) - segment.base)
        let last = min(segment.offsets.count - 1, first + max(1, limit))
        let (start, stop) = (segment.offsets[first], segment.offsets[last])
        let bytes = try FileDescriptor.open(path(segment.base), flags: O_RDONLY).read(at: start, count: stop - start)
        var samples: [MetricSample] = []
        var offset = 0
        while offset < bytes.count, let (sample, length) = MetricRecord.decode(bytes[offset...]) {
            samples.append(sample)
            offset += length
        }
        guard samples.count == last - first else {
            throw SystemCallError("read \(path(segment.base))", code: EBADMSG)
        }
        return samples
    }

    /// Removes the files all of whose samples lie before `sequence`; the last one stays.
    mutating func release(upTo sequence: UInt64) throws(SystemCallError) {
        while segments.count > 1, segments[0].end <= sequence { try removeFirst() }
    }

    /// Makes room where too many files wait; how many samples went.
    mutating func limit() throws(SystemCallError) -> UInt64 {
        let before = base
        while segments.count > MetricSegments.maximumFiles { try removeFirst() }
        return base - before
    }

    /// Removes every file.
    mutating func removeAll() throws(SystemCallError) {
        while !segments.isEmpty { try removeFirst() }
    }

    private mutating func removeFirst() throws(SystemCallError) {
        try remove(segments[0].base)
        segments.removeFirst()
    }

    private func remove(_ base: UInt64) throws(SystemCallError) {
        try FailPoint.pass("metrics.beforeUnlink")
        if unlink(path(base)) != 0, errno != ENOENT { throw .current("unlink metrics.\(base)") }
    }
}
