extension Duration {
    /// A span of whole hours.
    static func hours(_ hours: Int) -> Duration { .seconds(hours * 3600) }
}

extension ValueFormat where Value == Int {
    /// A whole number in decimal digits, without quotes.
    static func integer(_ range: ClosedRange<Int>) -> Self {
        Self(
            allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            parse: { scalar in
                guard let value = scalar.plain.flatMap(Digits.number), range.contains(value) else { return nil }
                return value
            },
            show: { String($0) })
    }

    /// A size: bytes, or a number with a unit; all units are powers of 1024.
    static func size(_ range: ClosedRange<Int>, orZero mayBeZero: Bool = false) -> Self {
        Self(
            allowed: "a size in bytes or with KB, MB, GB, TB (the same as KiB, MiB, GiB, TiB: powers of 1024), from "
                + "\(ByteSize.show(range.lowerBound)) to \(ByteSize.show(range.upperBound))"
                + (mayBeZero ? ", or 0" : ""),
            parse: { scalar in
                guard let value = ByteSize.parse(scalar.text), range.contains(value) || mayBeZero && value == 0
                else { return nil }
                return value
            },
            show: ByteSize.show)
    }
}

extension ValueFormat where Value == Duration {
    /// A duration in Go's syntax.
    static func duration(_ range: ClosedRange<Duration>) -> Self {
        Self(
            allowed: "a duration such as 500ms, 5s or 1h30m, from \(GoDuration.show(range.lowerBound)) to "
                + GoDuration.show(range.upperBound),
            parse: { scalar in
                guard let value = GoDuration.parse(scalar.text), range.contains(value) else { return nil }
                return value
            },
            show: GoDuration.show)
    }
}

/// Decimal numbers as the configuration allows them.
enum Digits {
    /// The number that the digits mean, nil for anything else: signs, spaces, leading zeros, overflow.
    static func number(_ text: some StringProtocol) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard text == "0" || !text.hasPrefix("0") else { return nil }
        return Int(text)
    }
}

/// Sizes such as `64MiB`.
public enum ByteSize {
    private static let shifts = [
        "": 0, "B": 0, "KB": 10, "KIB": 10, "MB": 20, "MIB": 20, "GB": 30, "GIB": 30, "TB": 40, "TIB": 40,
    ]

    /// Bytes that a text means, nil if it is not a size or too large to count.
    public static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.uppercased()
        guard let number = Digits.number(digits), let shift = shifts[unit] else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// The shortest exact form.
    static func show(_ bytes: Int) -> String {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        guard bytes > 0, let (shift, unit) = units.first(where: { bytes.isMultiple(of: 1 << $0.0) }) else {
            return String(bytes)
        }
        return "\(bytes >> shift)\(unit)"
    }
}

/// Durations in the syntax of Go's `time.ParseDuration`: numbers with units, one after the other.
public enum GoDuration {
    /// Nanoseconds of each unit.
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1000), ("µs", 1000), ("μs", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// The duration that a text means, nil if it is not one or exceeds 292 years; negative ones are not accepted.
    public static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = Substring(text)
        var total: Int64 = 0
        repeat {
            let whole = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(whole.count)
            var fraction = Substring()
            if rest.first == "." {
                fraction = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(1 + fraction.count)
            }
            let name = rest.prefix { $0 != "." && !$0.isNumber }
            rest = rest.dropFirst(name.count)
            guard let unit = units.first(where: { $0.name == name }), !(whole.isEmpty && fraction.isEmpty),
                let part = nanoseconds(whole: whole, fraction: fraction, unit: unit.nanoseconds)
            else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow else { return nil }
            total = sum
        } while !rest.isEmpty
        return .nanoseconds(total)
    }

    private static func nanoseconds(whole: Substring, fraction: Substring, unit: Int64) -> Int64? {
        guard let number = Int64(whole.isEmpty ? "0" : whole), fraction.count <= 9 else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        guard !overflow, let digits = Int64(fraction.isEmpty ? "0" : fraction) else { return nil }
        var scale: Int64 = 1
        for _ in 0..<fraction.count { scale *= 10 }
        // Split so that nine digits of an hour do not overflow: unit / scale would lose what is not divisible.
        let part = digits * (unit / scale) + digits * (unit % scale) / scale
        let (sum, carried) = product.addingReportingOverflow(part)
        return carried ? nil : sum
    }

    /// The form that Go's users write: the largest units first, zero units left out.
    static func show(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        var left = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        guard left != 0 else { return "0s" }
        var text = ""
        for name in ["h", "m", "s", "ms", "us", "ns"] {
            guard let unit = units.first(where: { $0.name == name }), left >= unit.nanoseconds else { continue }
            text += "\(left / unit.nanoseconds)\(name)"
            left %= unit.nanoseconds
        }
        return text
    }
}
