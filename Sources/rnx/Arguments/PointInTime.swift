import ArgumentParser
import FoundationEssentials
import Glibc

/// A point in time as users write it.
struct PointInTime: Equatable {
    /// Unix nanoseconds.
    let nanoseconds: Int64

    /// Reads RFC 3339, a local time such as `2006-01-02 15:04:05` (also with `T`, also without seconds), or a duration
    /// that lies back from `now`, such as `10m`.
    init?(_ text: String, now: Int64 = PointInTime.now) {
        if let back = GoDuration.nanoseconds(text) {
            let (time, overflow) = now.subtractingReportingOverflow(back)
            guard !overflow, time >= 0 else { return nil }
            nanoseconds = time
            return
        }
        guard let time = Self.absolute(text) else { return nil }
        nanoseconds = time
    }

    /// Unix nanoseconds of an option's text, 0 where it was not given.
    static func nanoseconds(_ text: String?, option: String) throws -> Int64 {
        guard let text else { return 0 }
        guard let time = PointInTime(text) else {
            throw ValidationError(
                "invalid time '\(text)' for \(option): expected RFC 3339, '2006-01-02 15:04:05', or a duration like 10m"
            )
        }
        return time.nanoseconds
    }

    /// Unix nanoseconds of the host's clock.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Unix nanoseconds of RFC 3339 or of a local time, nil for other texts and times before 1970.
    static func absolute(_ text: String) -> Int64? {
        zoned(text) ?? local(text)
    }

    private static func zoned(_ text: String) -> Int64? {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains("."))
        // The first 19 characters are a date and a time without zone, whose fields must exist.
        guard let date = parse(text, style), fields(String(text.prefix(19)).replacing("T", with: " ")) != nil else {
            return nil
        }
        let nanoseconds = date.timeIntervalSince1970 * 1e9
        return nanoseconds >= 0 ? Int64(exactly: nanoseconds.rounded()) : nil
    }

    private static func local(_ text: String) -> Int64? {
        let spaced = text.replacing("T", with: " ", maxReplacements: 1)
        guard let date = fields(spaced) ?? fields(spaced + ":00") else { return nil }
        // The fields were read as if they were UTC; the C library knows the zone of this host.
        var seconds = time_t(date.timeIntervalSince1970)
        var fields = tm()
        guard gmtime_r(&seconds, &fields) != nil else { return nil }
        fields.tm_isdst = -1
        let time = Int64(mktime(&fields))
        return time >= 0 ? time * 1_000_000_000 : nil
    }

    /// `2006-01-02 15:04:05` in UTC. Parsing makes March 2 of February 30, so the text must also be what is written
    /// back.
    private static func fields(_ text: String) -> Date? {
        let style = Date.ISO8601FormatStyle().year().month().day().dateTimeSeparator(.space)
            .time(includingFractionalSeconds: false)
        guard let date = parse(text, style), date.formatted(style) == text else { return nil }
        return date
    }

    /// The date that the whole text is; parsing alone would pass over what follows a date.
    private static func parse(_ text: String, _ style: Date.ISO8601FormatStyle) -> Date? {
        let all = text.startIndex..<text.endIndex
        guard let (end, date) = try? style.consuming(text, startingAt: all.lowerBound, in: all), end == all.upperBound
        else { return nil }
        return date
    }
}
