import Glibc

/// The two clocks that the program uses.
public enum SystemClock {
    /// Nanoseconds since 1970 (CLOCK_REALTIME): what logs, metrics and records show.
    public static func now() -> Int64 { read(CLOCK_REALTIME) }

    /// Nanoseconds since the boot, suspend included (CLOCK_BOOTTIME): for deadlines and intervals.
    public static func sinceBoot() -> Int64 { read(CLOCK_BOOTTIME) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
