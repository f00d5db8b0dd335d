import Foundation
import Testing

@testable import rnx

@Suite struct JSONTests {
    @Test func `Objects keep their order and are indented with two spaces`() {
        let value = JSON.object([
            ("z", .integer(1)), ("a", .array([.bool(true), .null])), ("e", .array([])), ("o", .object([])),
        ])
        #expect(
            value.pretty == """
                {
                  "z": 1,
                  "a": [
                    true,
                    null
                  ],
                  "e": [],
                  "o": {}
                }
                """)
        #expect(value.compact == #"{"z":1,"a":[true,null],"e":[],"o":{}}"#)
    }

    @Test(
        "Any text comes back from another reader as it went in",
        arguments: [
            "", "plain", "\"\\/", "\0\u{1}\u{1F}\u{7F}\u{80}", "tab\tline\r\n", "日本語 🎉", "\u{2028}\u{FEFF}", "\\u0041",
            "</script>", String(repeating: "\n", count: 1000),
        ])
    func roundTrip(_ text: String) throws {
        let bytes = Data(JSON.object([(text, .string(text))]).pretty.utf8)
        let read = try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: String])
        #expect(read == [text: text])
    }

    @Test func `Numbers are written in full`() {
        #expect(JSON.integer(Int64.min).compact == "-9223372036854775808")
        #expect(JSON.integer(UInt64.max).compact == "9223372036854775807")
    }

    @Test func `Empty values are left out where they are optional`() {
        var object = JSONObject()
        object.setIfAny("a", "")
        object.setIfAny("b", 0)
        object.setIfAny("c", "x")
        #expect(object.json.compact == #"{"c":"x"}"#)
    }
}
