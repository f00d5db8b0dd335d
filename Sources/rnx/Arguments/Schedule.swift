/// When a scheduled job starts, as users write it.
enum Schedule {
    private static let second: Int64 = 1_000_000_000
    private static let longest: Int64 = 365 * 24 * 3600 * second

    /// RFC 3339 for an absolute time (as ``PointInTime/absolute(_:)`` reads it) or for a sum of parts such as `30min`,
    /// `2h30m`, `1 hour 45s` that is counted from `now`.
    static func time(_ text: String, now: Int64 = PointInTime.now) throws(Failure) -> String {
        guard !text.isEmpty else { throw Failure(.usage, "schedule specification cannot be empty") }
        if let time = PointInTime.absolute(text) { return TimeText.rfc3339Seconds(time) }
        guard let delay = delay(text) else {
            throw Failure(
                .usage,
                """
                invalid schedule '\(text)': invalid format. Examples: '1min', '30min', '1hour', '2h30m', '45s' or \
                '2025-07-18T20:02:48'
                """)
        }
        if delay == 0 { throw Failure(.usage, "invalid schedule '\(text)': total duration cannot be zero") }
        guard delay <= longest else {
            throw Failure(.usage, "invalid schedule '\(text)': duration too long (maximum 1 year)")
        }
        return TimeText.rfc3339Seconds(now + delay)
    }

    /// Nanoseconds; nil for a text of another form, the longest number for one that is too large.
    private static func delay(_ text: String) -> Int64? {
        var rest = text.filter { $0 != " " }[...]
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard !digits.isEmpty, let scale = units[String(unit)] else { return nil }
            guard let amount = Int64(digits), amount <= longest / second else { return .max }
            total += min(amount * scale, longest) * second
            if total > longest { return .max }
        }
        return total
    }

    /// Seconds.
    private static let units: [String: Int64] = [
        "h": 3600, "hour": 3600, "hours": 3600, "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60, "s": 1,
        "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    ]
}
