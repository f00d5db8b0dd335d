/// The name of a client, which stands in its certificate and in names of files.
public struct ClientName: Sendable, Hashable {
    /// Letters, digits, `.`, `_`, `@` and `-`; at most 64, the first a letter or a digit.
    public let text: String

    /// Nil for what is not such a name, and for those of roles, whose files are their own.
    public init?(_ text: String) {
        let allowed = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                return true
            default: return false
            }
        }
        guard let first = text.utf8.first, allowed(first), text.utf8.count <= 64,
            text.utf8.allSatisfy({ allowed($0) || "._@-".utf8.contains($0) }), !["admin", "viewer"].contains(text)
        else { return nil }
        self.text = text
    }
}
