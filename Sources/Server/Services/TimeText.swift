import FoundationEssentials

/// Times of the wire: RFC 3339, whole seconds, UTC; empty where there is none.
enum TimeText {
    /// The text of a time in nanoseconds since 1970.
    static func text(_ nanoseconds: Int64?) -> String {
        guard let nanoseconds else { return "" }
        return Date(timeIntervalSince1970: Double(nanoseconds / 1_000_000_000)).formatted(.iso8601)
    }
}
