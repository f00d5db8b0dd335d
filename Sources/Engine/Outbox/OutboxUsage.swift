import Kernel

/// How much of the disk the outboxes below a root take.
public enum OutboxUsage {
    /// Bytes of one job's segments, index included; 0 where it has none.
    public static func bytes(root: String, job: OutboxJob) -> Int {
        let files = SegmentFiles(root: root, job: job)
        return ((try? files.numbers()) ?? []).reduce(0) { $0 + ((try? files.size(of: $1)) ?? 0) }
    }

    /// Every job that has an outbox, with its bytes; none where the root cannot be read.
    public static func all(root: String) -> [OutboxJob: Int] {
        let jobs = ((try? Directory.names(in: root)) ?? []).compactMap { OutboxJob(directoryName: $0) }
        return Dictionary(uniqueKeysWithValues: jobs.map { ($0, bytes(root: root, job: $0)) })
    }
}
