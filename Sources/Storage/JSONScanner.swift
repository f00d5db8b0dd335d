/// Text that is not the JSON that was expected.
public struct MalformedJSON: Error, Equatable {
    /// Something else stands there.
    package init() {}
}

/// Reads JSON (RFC 8259) value by value, where the reader knows what comes.
///
/// Foundation's decoder takes about fifty times as long for a line of samples.
package struct JSONScanner {
    /// Valid while `read` runs. An array would be retained for each of the many short reads.
    private let bytes: UnsafeBufferPointer<UInt8>
    /// Where the next byte is.
    private var place = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// What `body` reads of `bytes`, of which nothing may be left; the scanner must not leave it.
    package static func read<Value>(
        _ bytes: ArraySlice<UInt8>, _ body: (inout JSONScanner) throws(MalformedJSON) -> Value
    ) throws(MalformedJSON) -> Value {
        try bytes.withUnsafeBufferPointer { (bytes) throws(MalformedJSON) in
            var scanner = JSONScanner(bytes)
            let value = try body(&scanner)
            try scanner.finish()
            return value
        }
    }

    /// Calls `body` behind each name of an object; it reads the value.
    package mutating func members(
        _ body: (inout JSONScanner, String) throws(MalformedJSON) -> Void
    ) throws(MalformedJSON) {
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
    package mutating func numbers() throws(MalformedJSON) -> [String: Double] {
        var values = [String: Double](minimumCapacity: 16)
        try members { (scanner, name) throws(MalformedJSON) in values[name] = try scanner.number() }
        return values
    }

    /// An object of texts.
    package mutating func texts() throws(MalformedJSON) -> [String: String] {
        var values: [String: String] = [:]
        try members { (scanner, name) throws(MalformedJSON) in values[name] = try scanner.text() }
        return values
    }

    /// Calls `body` for each value of an array; it reads the value.
    package mutating func elements(_ body: (inout JSONScanner) throws(MalformedJSON) -> Void) throws(MalformedJSON) {
        try expect("[")
        if take("]") { return }
        repeat { try body(&self) } while take(",")
        try expect("]")
    }

    /// A finite number.
    private mutating func number() throws(MalformedJSON) -> Double {
        skipSpace()
        let start = place
        var whole: UInt64 = 0
        // Most are counters of few digits, which have one value however they are read.
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), place - start < 15 {
            whole = whole * 10 + UInt64(byte - UInt8(ascii: "0"))
            place += 1
        }
        if place > start, !isInNumber(next) { return Double(whole) }
        place = start
        guard let value = Double(try token()), value.isFinite else { throw MalformedJSON() }
        return value
    }

    /// A number without a fraction.
    package mutating func integer<Value: FixedWidthInteger>() throws(MalformedJSON) -> Value {
        skipSpace()
        let isNegative = next == UInt8(ascii: "-")
        if isNegative { place += 1 }
        let start = place
        var magnitude: UInt64 = 0
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (tens, isTooLarge) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeYet) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !isTooLarge, !isTooLargeYet else { throw MalformedJSON() }
            magnitude = sum
            place += 1
        }
        guard place > start else { throw MalformedJSON() }
        guard !isInNumber(next) else { throw MalformedJSON() }
        // The least value has no positive counterpart.
        let value = isNegative ? Value(exactly: -Int128(magnitude)) : Value(exactly: magnitude)
        guard let value else { throw MalformedJSON() }
        return value
    }

    /// `true` or `false`.
    package mutating func flag() throws(MalformedJSON) -> Bool {
        skipSpace()
        if take(word: "true") { return true }
        if take(word: "false") { return false }
        throw MalformedJSON()
    }

    /// Passes over a value of any kind, nested `depth` deep at most.
    package mutating func skip(depth: Int = 32) throws(MalformedJSON) {
        guard depth > 0 else { throw MalformedJSON() }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"):
            try members { (scanner, _) throws(MalformedJSON) in try scanner.skip(depth: depth - 1) }
        case UInt8(ascii: "["):
            try elements { (scanner) throws(MalformedJSON) in try scanner.skip(depth: depth - 1) }
        case UInt8(ascii: "\""): _ = try text()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try flag()
        case UInt8(ascii: "n"):
            guard take(word: "null") else { throw MalformedJSON() }
        default: _ = try token()
        }
    }

    /// The characters of a number.
    private mutating func token() throws(MalformedJSON) -> String {
        skipSpace()
        let start = place
        while isInNumber(next) { place += 1 }
        guard place > start else { throw MalformedJSON() }
        return String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<place]), as: UTF8.self)
    }

    /// A string.
    package mutating func text() throws(MalformedJSON) -> String {
        try expect("\"")
        let start = place
        var union: UInt8 = 0
        while let byte = next, byte != UInt8(ascii: "\\") {
            place += 1
            if byte == UInt8(ascii: "\"") {
                let text = UnsafeBufferPointer(rebasing: bytes[start..<place - 1])
                // ASCII, as nearly all of it is, cannot be invalid, and to find that out takes longer than to copy it.
                return union < 0x80 ? String(decoding: text, as: UTF8.self) : try valid(text)
            }
            union |= byte
        }
        // With escapes, or without an end.
        var text = Array(bytes[start..<place])
        while let byte = popNext() {
            switch byte {
            case UInt8(ascii: "\""): return try valid(text)
            case UInt8(ascii: "\\"): try appendEscaped(to: &text)
            default: text.append(byte)
            }
        }
        throw MalformedJSON()
    }

    /// Checks that nothing is left.
    private mutating func finish() throws(MalformedJSON) {
        skipSpace()
        guard next == nil else { throw MalformedJSON() }
    }

    private mutating func appendEscaped(to bytes: inout [UInt8]) throws(MalformedJSON) {
        switch popNext() {
        case UInt8(ascii: "b"): bytes.append(8)
        case UInt8(ascii: "f"): bytes.append(12)
        case UInt8(ascii: "n"): bytes.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "r"): bytes.append(UInt8(ascii: "\r"))
        case UInt8(ascii: "t"): bytes.append(UInt8(ascii: "\t"))
        case UInt8(ascii: "u"): bytes += Array(Character(try escapedScalar()).utf8)
        case let byte? where byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "/"):
            bytes.append(byte)
        default: throw MalformedJSON()
        }
    }

    private mutating func escapedScalar() throws(MalformedJSON) -> Unicode.Scalar {
        let first = try escapedUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        // The first half of a character outside the basic plane: the other one follows.
        guard first < 0xdc00, popNext() == UInt8(ascii: "\\"), popNext() == UInt8(ascii: "u") else {
            throw MalformedJSON()
        }
        let second = try escapedUnit()
        guard (0xdc00..<0xe000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xd800) << 10 + UInt32(second) - 0xdc00)
        else { throw MalformedJSON() }
        return scalar
    }

    private mutating func escapedUnit() throws(MalformedJSON) -> UInt16 {
        let digits = bytes.dropFirst(place).prefix(4)
        place += digits.count
        guard digits.count == 4, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw MalformedJSON()
        }
        return unit
    }

    private func valid(_ bytes: some Collection<UInt8>) throws(MalformedJSON) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw MalformedJSON() }
        return text
    }

    private func isInNumber(_ byte: UInt8?) -> Bool {
        guard let byte else { return false }
        return switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    /// The byte that is next; nil at the end.
    private var next: UInt8? { place < bytes.endIndex ? bytes[place] : nil }

    private mutating func popNext() -> UInt8? {
        guard let byte = next else { return nil }
        place += 1
        return byte
    }

    private mutating func skipSpace() {
        while let byte = next {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): place += 1
            default: return
            }
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        guard
            bytes.dropFirst(place).starts(
                with: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        else { return false }
        place += word.utf8CodeUnitCount
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(MalformedJSON) {
        guard take(character) else { throw MalformedJSON() }
    }
}
