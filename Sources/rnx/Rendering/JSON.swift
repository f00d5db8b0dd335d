/// A JSON value whose objects keep the order in which their keys were written, which no encoder of the library does.
enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([(key: String, value: JSON)])

    /// Indented with two spaces.
    var pretty: String {
        var text = ""
        write(to: &text, indent: 0)
        return text
    }

    /// In one line.
    var compact: String {
        var text = ""
        write(to: &text, indent: nil)
        return text
    }

    static func integer(_ value: some BinaryInteger) -> JSON { .integer(Int64(clamping: value)) }

    static func strings(_ values: [String]) -> JSON { .array(values.map(JSON.string)) }

    /// An object with its keys sorted.
    static func map(_ values: [String: String]) -> JSON {
        .object(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
    }

    static func == (left: JSON, right: JSON) -> Bool { left.compact == right.compact }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        // JSON has no word for what is not finite.
        case .number(let value): text += value.isFinite ? String(value) : "null"
        case .string(let value): Self.quote(value, to: &text)
        case .array(let values):
            Self.list(values, "[", "]", to: &text, indent: indent) { value, text, indent in
                value.write(to: &text, indent: indent)
            }
        case .object(let members):
            Self.list(members, "{", "}", to: &text, indent: indent) { member, text, indent in
                Self.quote(member.key, to: &text)
                text += indent == nil ? ":" : ": "
                member.value.write(to: &text, indent: indent)
            }
        }
    }

    private static func list<Element>(
        _ elements: [Element], _ open: String, _ close: String, to text: inout String, indent: Int?,
        element: (Element, inout String, Int?) -> Void
    ) {
        text += open
        let inner = indent.map { $0 + 1 }
        for (index, value) in elements.enumerated() {
            if index > 0 { text += "," }
            breakLine(&text, inner)
            element(value, &text, inner)
        }
        if !elements.isEmpty { breakLine(&text, indent) }
        text += close
    }

    private static func breakLine(_ text: inout String, _ indent: Int?) {
        guard let indent else { return }
        text += "\n" + String(repeating: "  ", count: indent)
    }

    private static func quote(_ value: String, to text: inout String) {
        text += "\""
        var value = value
        value.withUTF8 { bytes in
            var start = 0
            for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
                text += String(decoding: bytes[start..<index], as: UTF8.self)
                text += escape(byte)
                start = index + 1
            }
            text += String(decoding: bytes[start...], as: UTF8.self)
        }
        text += "\""
    }

    private static func escape(_ byte: UInt8) -> String {
        switch byte {
        case 0x22: return "\\\""
        case 0x5C: return "\\\\"
        case 0x0A: return "\\n"
        case 0x0D: return "\\r"
        case 0x09: return "\\t"
        default:
            let digits = String(byte, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
}

/// Collects the members of an object, leaving out those without a value.
struct JSONObject {
    private(set) var members: [(key: String, value: JSON)] = []

    mutating func set(_ key: String, _ value: JSON) {
        members.append((key, value))
    }

    /// Adds a text that is not empty.
    mutating func setIfAny(_ key: String, _ value: String) {
        if !value.isEmpty { set(key, .string(value)) }
    }

    /// Adds a number that is not zero.
    mutating func setIfAny(_ key: String, _ value: some BinaryInteger) {
        if value != 0 { set(key, .integer(value)) }
    }

    var json: JSON { .object(members) }
}
