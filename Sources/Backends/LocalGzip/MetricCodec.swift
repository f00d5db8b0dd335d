import Storage

/// Compresses and inflates the members of one shard's samples, with buffers that stay.
///
/// Remembers the member that was inflated last: a reader whose pages are smaller than a member comes back for the
/// next part of it.
final class MetricCodec {
    private let gzip = Gzip()
    private var member: [UInt8] = []
    private var last: (job: JobID, file: Int64, offset: UInt64, samples: [MetricSample])?

    /// One member of `text`, without an extra field.
    func compress(_ text: [UInt8]) -> [UInt8] {
        text.withUnsafeBytes { gzip.compress($0, into: &member) }
        return member
    }

    /// The samples of a member; throws `corrupt` where it is damaged.
    func samples(
        of member: MetricMember, in file: Int64, of metrics: JobMetrics
    ) throws(StorageError) -> [MetricSample] {
        if let last, last.job == metrics.job, last.file == file, last.offset == member.offset { return last.samples }
        let place = metrics.files.place(file, member.offset)
        guard !member.isDamaged,
            let bytes = try metrics.files.read(file, at: member.offset, count: Int(member.length)),
            let text = inflate(bytes, member)
        else { throw .corrupt(place: place) }
        let samples: [MetricSample]
        do throws(MetricLines.Malformed) {
            samples = try MetricLines.samples(text)
        } catch {
            throw .corrupt(place: place)
        }
        guard samples.count == Int(member.count),
            zip(samples, member.first...).allSatisfy({ $0.sequence == $1 })
        else { throw .corrupt(place: place) }
        last = (metrics.job, file, member.offset, samples)
        return samples
    }

    /// Whether a member of `file` can be inflated.
    func isWhole(_ member: MetricMember, in file: [UInt8]) -> Bool {
        let start = Int(member.offset)
        return inflate(Array(file[start..<start + Int(member.length)]), member) != nil
    }

    /// Forgets what is remembered of a job whose files changed otherwise than by appending.
    func forget(_ job: JobID) {
        if last?.job == job { last = nil }
    }

    private func inflate(_ bytes: [UInt8], _ member: MetricMember) -> [UInt8]? {
        guard bytes.count == Int(member.length), MetricMember.decode(bytes[...], at: member.offset) == member
        else { return nil }
        let plain = MetricMember.plain(bytes)
        let count = Int(member.textLength)
        var text: [UInt8] = []
        text.append(addingCapacity: count) { span in
            span.withUnsafeMutableBufferPointer { buffer, initialized in
                let target = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
                let length = plain.withUnsafeBytes { source in
                    try? gzip.inflate(source, into: UnsafeMutableRawBufferPointer(target))
                }
                initialized = length == count ? count : 0
            }
        }
        return text.count == count ? text : nil
    }
}
