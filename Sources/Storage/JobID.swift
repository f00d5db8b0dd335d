/// A job's identity: a UUID in lower-case text, validated when made.
///
/// Values are safe as a path component, a database key or part of an object name.
public struct JobID: Hashable, Sendable, Comparable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// The id with the given 16 bytes, most significant first.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A new random id (RFC 9562, version 4).
    public static func random() -> JobID {
        var generator = SystemRandomNumberGenerator()
        return JobID(
            high: (generator.next() & 0xffff_ffff_ffff_0fff) | 0x4000,
            low: (generator.next() & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000)
    }

    /// The id that `text` spells in the 8-4-4-4-12 form, either case; nil for anything else.
    public init?(_ text: some StringProtocol) {
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        var index = 0
        for byte in text.utf8 {
            switch index {
            case 8, 13, 18, 23:
                guard byte == UInt8(ascii: "-") else { return nil }
            default:
                guard let value = hexValue(byte) else { return nil }
                if digits < 16 {
                    words.0 = words.0 << 4 | UInt64(value)
                } else {
                    words.1 = words.1 << 4 | UInt64(value)
                }
                digits += 1
            }
            index += 1
            if index > 36 { return nil }
        }
        guard index == 36 else { return nil }
        self.init(high: words.0, low: words.1)
    }

    /// The 16 bytes, most significant first.
    public var words: (high: UInt64, low: UInt64) { (high, low) }

    public var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var offset = 0
            for nibble in 0..<32 {
                if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
                    buffer[offset] = UInt8(ascii: "-")
                    offset += 1
                }
                let word = nibble < 16 ? high : low
                let value = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (nibble % 16))) & 0xf
                buffer[offset] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                offset += 1
            }
            return offset
        }
    }

    /// The first eight hexadecimal digits, as shown in host names and tables.
    public var short: String { String(description.prefix(8)) }

    public static func < (left: JobID, right: JobID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension JobID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = JobID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a UUID")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The beginning of a job id as a user types it: 1 to 36 hexadecimal digits and hyphens.
public struct JobIDPrefix: Hashable, Sendable, CustomStringConvertible {
    /// The prefix in lower case.
    public let text: String

    /// The prefix that `text` spells, either case; nil where it cannot begin a UUID.
    public init?(_ text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.count <= 36 else { return nil }
        for (index, byte) in text.utf8.enumerated() {
            switch index {
            case 8, 13, 18, 23:
                guard byte == UInt8(ascii: "-") else { return nil }
            default:
                guard hexValue(byte) != nil else { return nil }
            }
        }
        self.text = text.lowercased()
    }

    /// The whole id, where the prefix has all 36 characters.
    public var complete: JobID? { JobID(text) }

    /// The id just before the first one that has this prefix; nil where that is the first of all ids.
    var predecessor: JobID? {
        let model = Array("00000000-0000-0000-0000-000000000000")
        let text = String(Array(self.text) + model[self.text.count...])
        guard let (high, low) = JobID(text)?.words, (high, low) != (0, 0) else { return nil }
        return JobID(high: low == 0 ? high - 1 : high, low: low &- 1)
    }

    /// Whether `id` begins with this prefix.
    public func matches(_ id: JobID) -> Bool { id.description.hasPrefix(text) }

    public var description: String { text }
}

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
