import Storage

/// Compresses and inflates the members of one shard's samples, with buffers that stay.
///
/// Remembers the member that was inflated last: a reader whose pages are smaller than a member comes back for the
/// next part of it.
final class MetricCodec {
    private let gzip = Gzip()
    private var buffer: [UInt8] = []
    private var last: (job: JobID, file: Int64, offset: UInt64, samples: [MetricSample])?

    /// The member of samples whose sequences follow each other, and its bytes.
    func compress(_ samples: [MetricSample], _ first: MetricSample, _ last: MetricSample) -> (MetricMember, [UInt8]) {
        var text: [UInt8] = []
        for sample in samples { MetricLines.append(sample, to: &text) }
        return MetricMember.compress(
            text, first: first.sequence, count: samples.count, earliest: first.time, latest: last.time,
            with: gzip, buffer: &buffer)
    }

    /// The samples of a member; throws `corrupt` where it is damaged.
    func samples(
        of member: MetricMember, in file: Int64, of metrics: JobMetrics
    ) throws(StorageError) -> [MetricSample] {
        if let last, last.job == metrics.job, last.file == file, last.offset == member.offset { return last.samples }
        guard !member.isDamaged,
            let bytes = try metrics.files.read(file, at: member.offset, count: Int(member.length)),
            let samples = member.samples(of: bytes, with: gzip)
        else { throw .corrupt(place: metrics.files.place(file, member.offset)) }
        last = (metrics.job, file, member.offset, samples)
        return samples
    }

    /// Whether a member of `file` can be inflated.
    func isWhole(_ member: MetricMember, in file: [UInt8]) -> Bool {
        let start = Int(member.offset)
        return member.text(of: Array(file[start..<start + Int(member.length)]), with: gzip) != nil
    }

    /// Forgets what is remembered of a job whose files changed otherwise than by appending.
    func forget(_ job: JobID) {
        if last?.job == job { last = nil }
    }
}
