import Glibc

/// How long stores refuse what belongs to a deleted job.
///
/// A tombstone stops writers that have not heard of the delete: a request that is repeated, a journal that is
/// replayed. None of them is a month behind, so after that time the tombstone goes, and stores do not grow with every
/// job there ever was.
public enum Tombstones {
    /// Nanoseconds for which a tombstone stands: 30 days.
    public static let lifetime: Int64 = 30 * 86_400 * 1_000_000_000

    /// The time from which on tombstones stand at the time `now`.
    public static func oldest(at now: Int64) -> Int64 {
        let (oldest, overflow) = now.subtractingReportingOverflow(lifetime)
        return overflow ? .min : oldest
    }

    /// The present, in nanoseconds since 1970 (CLOCK_REALTIME).
    @Sendable public static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
