import TestSupport
import Testing
import YAML

@Suite struct NodeTests {
    private func value(_ text: String) throws -> Node {
        try #require(try Node(parsing: text))
    }

    private func pairs(_ text: String) throws -> [String: Node] {
        let pairs = try #require(try value(text).pairs)
        return Dictionary(pairs.map { ($0.key.scalar?.text ?? "", $0.value) }) { $1 }
    }

    @Test(
        arguments: [
            ("a", "a", false), ("'a: #b'", "a: #b", true), (#""a\tb\u00e9\x41""#, "a\tb\u{e9}A", true),
            ("|\n  a\n   b\n\n  c\n", "a\n b\n\nc\n", true), (">-\n  a\n  b\n", "a b", true), ("1.50", "1.50", false),
            ("!!str 5", "5", false), ("\"\"", "", true), ("'\u{1F600}'", "\u{1F600}", true), (#""a\0b""#, "a\0b", true),
        ])
    func `a scalar is its text`(text: String, expected: String, isQuoted: Bool) throws {
        let scalar = try #require(try value(text).scalar)
        #expect(scalar.text == expected)
        #expect(scalar.isQuoted == isQuoted)
    }

    @Test func `null is what YAML calls so, unless it is quoted`() throws {
        for text in ["~", "null", "Null", "NULL", "a:"] {
            var node = try value(text)
            if let pairs = node.pairs { node = pairs[0].value }
            #expect(node.isNull)
        }
        for text in ["'~'", "\"null\"", "nULL", "[]", "''"] { #expect(try !value(text).isNull) }
    }

    @Test(arguments: ["", " \n", "# comment\n", "\u{FEFF}"])
    func `a text without a document has no value`(text: String) throws {
        #expect(try Node(parsing: text) == nil)
    }

    @Test func `mappings keep the order of their keys, values know where they begin`() throws {
        let pairs = try #require(try value("b: 1\n\u{e9}:\n  - x\n  - [y, z]\na: {}\n").pairs)
        #expect(pairs.map(\.key.scalar?.text) == ["b", "\u{e9}", "a"])
        #expect(pairs.map(\.key.mark?.line) == [1, 2, 5])
        #expect(
            pairs.map(\.value.mark) == [Mark(line: 1, column: 4), Mark(line: 3, column: 3), Mark(line: 5, column: 4)])
        guard case .sequence(let nodes) = pairs[1].value.content else {
            Issue.record("no sequence")
            return
        }
        #expect(nodes.map(\.mark) == [Mark(line: 3, column: 5), Mark(line: 4, column: 5)])
    }

    @Test func `values are equal when they say the same`() throws {
        #expect(try value("{a: [1, 'x']}") == value("a:\n- 1\n- x\n"))
        #expect(try value("[a, b]") != value("[b, a]"))
        #expect(try value("[a]") != value("a"))
    }

    @Test func `an alias is what the last anchor of its name stands for`() throws {
        let pairs = try pairs("a: &x [1]\nb: *x\nc: &x 2\nd: [*x]\n")
        #expect(pairs["b"] == pairs["a"])
        #expect(try pairs["d"] == value("[2]"))
    }

    @Test(
        arguments: [
            ("a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
            ("\na: *b", "line 2, column 4: found undefined alias"),
            ("&a [*a]", "line 1, column 5: found undefined alias"),
            ("[a", "line 2, column 1: while parsing a flow sequence (line 1): did not find expected ',' or ']'"),
            (
                "a: 1\n---\nb: 2\n",
                "line 2, column 1: expected a single document in the stream (line 1): but found another document"
            ),
            ("a: 1\r\n\u{e9}: \u{7}\n", "line 2, column 4: control characters are not allowed"),
            ("{y: 1, b: 2, \"y\": 3, b: 4}", "line 1, column 8: given more than once in one mapping: b, y"),
            ("? [a]\n: 1\n? [a]\n: 2\n", "line 1, column 3: given more than once in one mapping: "),
        ])
    func `what is not YAML is told with its place`(text: String, description: String) {
        let error = #expect(throws: ParseError.self) { try Node(parsing: text) }
        #expect(error?.description == description)
    }

    @Test func `nesting has a limit`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        let isRead = try Node(parsing: nested(1000)) != nil
        #expect(isRead)
        #expect(throws: ParseError.self) { _ = try Node(parsing: nested(1001)) }
        #expect(throws: ParseError.self) { _ = try Node(parsing: String(repeating: "- ", count: 200_000)) }
    }

    @Test func `damaged texts are refused or read, and nothing else happens`() {
        let text = Array("a: &x {b: [1, 'two', \"thr\\u0065e\"], c: |\n  text\n}\nd: *x\n? e\n: - f\n".unicodeScalars)
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2000 {
            var damaged = text
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: damaged.indices, using: &generator)
                damaged[index] =
                    "\0\t\n\r !\"#%&'*,-:>?@[]`{|}~\u{85}\u{2028}\u{FEFF}\u{10FFFF}xyz".unicodeScalars
                    .randomElement(using: &generator) ?? "x"
            }
            var string = String.UnicodeScalarView()
            string.append(contentsOf: damaged)
            _ = try? Node(parsing: String(string))
        }
    }
}
