/// An element of an XML document as S3 and STS reply: names without prefix, text without its children's.
///
/// Reads elements, text, character data, comments and entities; attributes and document types are passed over, and
/// an entity that is declared anywhere is not known. Depth and size are bounded.
struct XMLElement: Equatable {
    var name: String
    var text = ""
    var children: [XMLElement] = []

    /// The most elements within each other.
    static let maximumDepth = 32

    /// The root of the document in `bytes`; nil where it is not well formed.
    init?(_ bytes: [UInt8]) {
        var parser = XMLParser(bytes)
        guard let root = parser.document() else { return nil }
        self = root
    }

    init(name: String) {
        self.name = name
    }

    /// The child of that name, or this element's first descendant of that name.
    func first(_ name: String) -> XMLElement? {
        for child in children {
            if child.name == name { return child }
        }
        for child in children {
            if let found = child.first(name) { return found }
        }
        return nil
    }

    /// The children of that name.
    func all(_ name: String) -> [XMLElement] {
        children.filter { $0.name == name }
    }
}

private struct XMLParser {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func document() -> XMLElement? {
        guard skipMisc(), let root = element(depth: 0), skipMisc(), index == bytes.count else { return nil }
        return root
    }

    /// Goes over white space, declarations, comments and processing instructions; false where one has no end.
    private mutating func skipMisc() -> Bool {
        if bytes.starts(with: [0xef, 0xbb, 0xbf]), index == 0 { index = 3 }
        while true {
            skipSpace()
            if starts("<?") {
                guard skip(past: "?>") else { return false }
            } else if starts("<!--") {
                guard skip(past: "-->") else { return false }
            } else {
                return true
            }
        }
    }

    private mutating func element(depth: Int) -> XMLElement? {
        guard depth < XMLElement.maximumDepth, take("<"), let name = name() else { return nil }
        var element = XMLElement(name: name.local)
        guard let isEmpty = attributes() else { return nil }
        if isEmpty { return element }
        var text: [UInt8] = []
        while index < bytes.count {
            if starts("</") {
                index += 2
                guard let end = self.name(), end.whole == name.whole else { return nil }
                skipSpace()
                guard take(">") else { return nil }
                element.text = String(decoding: text, as: UTF8.self)
                return element
            } else if starts("<!--") {
                guard skip(past: "-->") else { return nil }
            } else if starts("<![CDATA[") {
                index += 9
                let start = index
                guard skip(past: "]]>") else { return nil }
                text += bytes[start..<index - 3]
            } else if starts("<?") {
                guard skip(past: "?>") else { return nil }
            } else if bytes[index] == UInt8(ascii: "<") {
                guard let child = self.element(depth: depth + 1) else { return nil }
                element.children.append(child)
            } else if bytes[index] == UInt8(ascii: "&") {
                guard let character = entity() else { return nil }
                text += String(character).utf8
            } else {
                text.append(bytes[index])
                index += 1
            }
        }
        return nil
    }

    /// Goes to the end of a tag; whether it is an empty element's, nil where it has no end.
    private mutating func attributes() -> Bool? {
        while true {
            skipSpace()
            if take(">") { return false }
            if starts("/>") {
                index += 2
                return true
            }
            guard name() != nil else { return nil }
            skipSpace()
            guard take("=") else { return nil }
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "'"),
                let end = bytes[(index + 1)...].firstIndex(of: bytes[index])
            else { return nil }
            index = end + 1
        }
    }

    private mutating func name() -> (whole: ArraySlice<UInt8>, local: String)? {
        let start = index
        while index < bytes.count, !" \t\r\n/>=<&'\"".utf8.contains(bytes[index]) { index += 1 }
        guard index > start else { return nil }
        let whole = bytes[start..<index]
        let local = whole.lastIndex(of: UInt8(ascii: ":")).map { whole[($0 + 1)...] } ?? whole
        return local.isEmpty ? nil : (whole, String(decoding: local, as: UTF8.self))
    }

    private mutating func entity() -> Character? {
        guard let end = bytes[index...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let name = String(decoding: bytes[(index + 1)..<end], as: UTF8.self)
        index = end + 1
        switch name {
        case "lt": return "<"
        case "gt": return ">"
        case "amp": return "&"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let value = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return value.flatMap { Unicode.Scalar($0) }.map { Character($0) }
        }
    }

    private mutating func skipSpace() {
        while index < bytes.count, " \t\r\n".utf8.contains(bytes[index]) { index += 1 }
    }

    private func starts(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { bytes[index...].starts(with: $0) }
    }

    private mutating func take(_ text: StaticString) -> Bool {
        guard starts(text) else { return false }
        index += text.utf8CodeUnitCount
        return true
    }

    /// Goes behind the next `text`.
    private mutating func skip(past text: StaticString) -> Bool {
        while index < bytes.count {
            if take(text) { return true }
            index += 1
        }
        return false
    }
}
