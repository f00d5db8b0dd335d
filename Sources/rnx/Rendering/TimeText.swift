import Glibc

/// Times and durations as people and programs read them.
enum TimeText {
    private static let second: Int64 = 1_000_000_000

    /// RFC 3339 in UTC with nanoseconds, `2024-01-15T10:30:00.123456789Z`.
    static func rfc3339(_ nanoseconds: Int64) -> String {
        let digits = String(nanoseconds % second)
        return format(nanoseconds, "%Y-%m-%dT%H:%M:%S", gmtime_r)
            + "." + String(repeating: "0", count: 9 - digits.utf8.count) + digits + "Z"
    }

    /// RFC 3339 in UTC with whole seconds.
    static func rfc3339Seconds(_ nanoseconds: Int64) -> String {
        format(nanoseconds, "%Y-%m-%dT%H:%M:%SZ", gmtime_r)
    }

    /// `2006-01-02 15:04:05 MST` in the zone of this host.
    static func local(_ nanoseconds: Int64) -> String {
        format(nanoseconds, "%Y-%m-%d %H:%M:%S %Z", localtime_r)
    }

    /// `2006-01-02 15:04:05` out of RFC 3339, in the zone of the text; `N/A` for none.
    static func table(_ text: String) -> String {
        guard !text.isEmpty else { return "N/A" }
        return String(text.prefix(19)).replacing("T", with: " ")
    }

    /// `4.2s`, `1.5m`, `2h5m`, `3d4h`.
    static func duration(_ nanoseconds: Int64) -> String {
        let tenths = max(0, nanoseconds) / (second / 10)
        let seconds = tenths / 10
        switch seconds {
        case ..<60: return "\(seconds).\(tenths % 10)s"
        case ..<3600: return "\(seconds / 60).\(seconds % 60 / 6)m"
        case ..<86400: return "\(seconds / 3600)h\(seconds % 3600 / 60)m"
        default: return "\(seconds / 86400)d\(seconds % 86400 / 3600)h"
        }
    }

    private typealias Breakdown = (UnsafePointer<time_t>, UnsafeMutablePointer<tm>) -> UnsafeMutablePointer<tm>?

    private static func format(_ nanoseconds: Int64, _ layout: String, _ breakdown: Breakdown) -> String {
        var seconds = time_t(nanoseconds / second)
        var fields = tm()
        guard breakdown(&seconds, &fields) != nil else { return "" }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let start = buffer.baseAddress, strftime(start, buffer.count, layout, &fields) > 0 else { return "" }
            return String(cString: start)
        }
    }
}

/// Sizes as people read them.
enum SizeText {
    /// `12.50 MB`, of 1024 × 1024 bytes.
    static func megabytes(_ bytes: UInt64) -> String {
        let hundredths = (Double(bytes) / 1_048_576 * 100).rounded()
        guard let whole = UInt64(exactly: hundredths) else { return "\(bytes) bytes" }
        let fraction = whole % 100
        return "\(whole / 100).\(fraction < 10 ? "0" : "")\(fraction) MB"
    }
}
