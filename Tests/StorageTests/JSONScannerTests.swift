import Storage
import Testing

@Suite struct JSONScannerTests {
    private func integer<Value: FixedWidthInteger>(_ text: String) throws(MalformedJSON) -> Value {
        try JSONScanner.read(Array(text.utf8)[...]) { (scanner) throws(MalformedJSON) in try scanner.integer() }
    }

    private func number(_ text: String) throws(MalformedJSON) -> Double? {
        try JSONScanner.read(Array("{\"a\":\(text)}".utf8)[...]) { (scanner) throws(MalformedJSON) in
            try scanner.numbers()
        }["a"]
    }

    @Test func `whole numbers are read in the whole range of their type and not beyond it`() throws {
        #expect(try integer("\(Int64.min)") == Int64.min)
        #expect(try integer("\(Int64.max)") == Int64.max)
        #expect(try integer(" \(UInt64.max) ") == UInt64.max)
        #expect(try integer("-0") == UInt64(0))
        #expect(try integer("-2147483648") == Int32.min)
        for text in ["2147483648", "-2147483649"] {
            #expect(throws: MalformedJSON.self) { let _: Int32 = try integer(text) }
        }
        for text in ["18446744073709551616", "99999999999999999999", "-1"] {
            #expect(throws: MalformedJSON.self) { let _: UInt64 = try integer(text) }
        }
        for text in ["", "-", "+1", "--1", "1.5", "1e3", "1E3", "1-2", "1 2", "0x1", "\"1\"", "one"] {
            #expect(throws: MalformedJSON.self, "\(text)") { let _: Int64 = try integer(text) }
        }
    }

    @Test(arguments: [
        "0", "7", "-7", "123456789012345", "1234567890123456", "18446744073709551616", "0.1", "1.5e-7", "-2E3",
        "9007199254740993", "4.9e-324", "1.7976931348623157e308",
    ])
    func `a number is the nearest one, long or short`(_ text: String) throws {
        #expect(try number(text) == Double(text))
    }

    @Test(arguments: ["", "1e999", "nan", "inf", "1.2.3", "-", "1e", "12345678901234567890x"])
    func `what is no finite number is refused`(_ text: String) {
        #expect(throws: MalformedJSON.self) { try number(text) }
    }

    @Test func `nothing may be left, and the rest of a longer text is not looked at`() throws {
        let text = Array("[1,2]x".utf8)
        var found: [Int] = []
        func read(_ bytes: ArraySlice<UInt8>) throws(MalformedJSON) {
            found = []
            try JSONScanner.read(bytes) { (scanner) throws(MalformedJSON) in
                try scanner.elements { (scanner) throws(MalformedJSON) in found.append(try scanner.integer()) }
            }
        }
        try read(text[..<5])
        #expect(found == [1, 2])
        #expect(throws: MalformedJSON.self) { try read(text[...]) }
        for end in 0..<5 { #expect(throws: MalformedJSON.self, "\(end)") { try read(text[..<end]) } }
        // Behind other bytes of the same array.
        let behind = Array("[9,".utf8) + Array("\"\\u00e9\\ud83d\\ude00\"".utf8)
        let string = try JSONScanner.read(behind[3...]) { (scanner) throws(MalformedJSON) in try scanner.text() }
        #expect(string == "é😀")
    }
}
