/// Durations as Go writes them, `1h30m`, `90s`, `1.5h`.
enum GoDuration {
    /// Nanoseconds; nil for a text that is no duration, is negative, or lasts longer than 290 years.
    static func nanoseconds(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        var total: Double = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard digits.first != nil, let amount = Double(digits), let scale = units[String(unit)] else { return nil }
            total += amount * scale
        }
        return Int64(exactly: total.rounded())
    }

    private static let units: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]
}
