import Backends
import Storage

/// Lines of samples whose sequences follow each other.
struct MetricText {
    private(set) var text: [UInt8] = []
    /// The sequence of the first sample.
    private(set) var first: UInt64
    private(set) var count = 0
    private(set) var earliest: Int64 = 0
    private(set) var latest: Int64 = 0

    /// No samples yet; the first one has the sequence `first`.
    init(at first: UInt64) {
        self.first = first
    }

    /// The sequence of the next sample.
    var end: UInt64 { first + UInt64(count) }

    /// Adds the next sample.
    mutating func append(_ sample: MetricSample) {
        MetricLines.append(sample, to: &text)
        if count == 0 { earliest = sample.time }
        latest = sample.time
        count += 1
    }

    /// Adds the lines of a member that follows.
    mutating func append(_ lines: [UInt8], of member: MetricMember) {
        text += lines
        if count == 0 { earliest = member.earliest }
        latest = member.latest
        count += Int(member.count)
    }

    /// The samples.
    var samples: [MetricSample] {
        // Made of samples, so it spells samples.
        (try? MetricLines.samples(text)) ?? []
    }
}

/// One job's samples as the store knows them.
final class S3Metrics: S3Series {
    /// Text from which on a block takes no more: enough to compress well, little to read for one sample.
    static let blockBytes = 256 << 10

    let job: JobID
    var blocks: [MetricObject.Stored]
    var sealed: [MetricObject.Block] = []
    private(set) var tail: MetricText
    var lastUse: UInt64 = 0
    /// The sequence before which everything was trimmed.
    private let origin: UInt64

    init(job: JobID, blocks: [MetricObject.Stored] = [], origin: UInt64 = 0) {
        self.job = job
        self.blocks = blocks
        self.origin = origin
        tail = MetricText(at: max(origin, blocks.last?.header.member.end ?? 0))
    }

    var exists: Bool { !blocks.isEmpty || !sealed.isEmpty || tail.count > 0 }
    /// Samples that were given up count only with the next one.
    var isClean: Bool { sealed.isEmpty && end == max(origin, durableEnd ?? 0) }
    var isTailFull: Bool { tail.text.count >= Self.blockBytes }
    var tailBytes: Int { tail.text.count }
    var tailTimes: ClosedRange<Int64>? {
        tail.count > 0 ? tail.earliest...max(tail.earliest, tail.latest) : nil
    }
    /// The sequence of the next sample.
    var end: UInt64 { tail.end }

    func seal(with gzip: borrowing Gzip) {
        guard tail.count > 0 else { return }
        sealed.append(MetricObject.Block(tail, of: job, with: gzip))
        tail = MetricText(at: tail.end)
    }

    /// Goes on at `sequence`, behind the end.
    func skip(to sequence: UInt64, with gzip: borrowing Gzip) {
        // A block's samples follow each other.
        seal(with: gzip)
        tail = MetricText(at: sequence)
    }

    /// Takes as many of the next samples as the tail has room for; returns the others.
    func take(_ samples: ArraySlice<MetricSample>) -> ArraySlice<MetricSample> {
        var rest = samples
        while !isTailFull, let sample = rest.popFirst() { tail.append(sample) }
        return rest
    }

    /// What is held.
    var statistics: MetricStatistics {
        let samples = headers.reduce(UInt64(tail.count)) { $0 + UInt64($1.member.count) }
        return MetricStatistics(samples: samples, storedBytes: storedBytes, times: times)
    }
}
