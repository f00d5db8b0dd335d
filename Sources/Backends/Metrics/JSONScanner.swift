/// Reads the JSON that `MetricLines` writes: objects of numbers, of texts, and of those (RFC 8259).
///
/// Foundation's decoder takes about fifty times as long for a line.
struct JSONScanner {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    /// Calls `body` behind each name of an object; it reads the value.
    mutating func members(
        _ body: (inout JSONScanner, String) throws(MetricLines.Malformed) -> Void
    ) throws(MetricLines.Malformed) {
        try expect("{")
        if take("}") { return }
        repeat {
            let name = try text()
            try expect(":")
            try body(&self, name)
        } while take(",")
        try expect("}")
    }

    /// An object of numbers.
    mutating func numbers() throws(MetricLines.Malformed) -> [String: Double] {
        var values: [String: Double] = [:]
        try members { (scanner, name) throws(MetricLines.Malformed) in
            guard let value = Double(try scanner.token()), value.isFinite else { throw MetricLines.Malformed() }
            values[name] = value
        }
        return values
    }

    /// An object of texts.
    mutating func texts() throws(MetricLines.Malformed) -> [String: String] {
        var values: [String: String] = [:]
        try members { (scanner, name) throws(MetricLines.Malformed) in values[name] = try scanner.text() }
        return values
    }

    /// The characters of a number.
    mutating func token() throws(MetricLines.Malformed) -> String {
        skipSpace()
        let token = rest.prefix { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                UInt8(ascii: "e"), UInt8(ascii: "E"):
                true
            default: false
            }
        }
        guard !token.isEmpty else { throw MetricLines.Malformed() }
        rest = rest[token.endIndex...]
        return String(decoding: token, as: UTF8.self)
    }

    /// A string.
    mutating func text() throws(MetricLines.Malformed) -> String {
        try expect("\"")
        guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
            throw MetricLines.Malformed()
        }
        if rest[end] == UInt8(ascii: "\"") {
            defer { rest = rest[(end + 1)...] }
            return try valid(rest[..<end])
        }
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return try valid(bytes[...])
            case UInt8(ascii: "\\"): try appendEscaped(to: &bytes)
            default: bytes.append(byte)
            }
        }
        throw MetricLines.Malformed()
    }

    /// Checks that nothing is left.
    mutating func finish() throws(MetricLines.Malformed) {
        skipSpace()
        guard rest.isEmpty else { throw MetricLines.Malformed() }
    }

    private mutating func appendEscaped(to bytes: inout [UInt8]) throws(MetricLines.Malformed) {
        switch rest.popFirst() {
        case UInt8(ascii: "\""): bytes.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "u"):
            let digits = rest.prefix(4)
            rest = rest.dropFirst(4)
            // Only control characters are written so; the others stand as they are.
            guard digits.count == 4, let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), code < 0x80
            else { throw MetricLines.Malformed() }
            bytes.append(code)
        default: throw MetricLines.Malformed()
        }
    }

    private func valid(_ bytes: ArraySlice<UInt8>) throws(MetricLines.Malformed) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw MetricLines.Malformed() }
        return text
    }

    private mutating func skipSpace() {
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(MetricLines.Malformed) {
        guard take(character) else { throw MetricLines.Malformed() }
    }
}
