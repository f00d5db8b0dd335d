import YAML

/// A configuration file's text as YAML.
enum ConfigurationDocument {
    /// The largest file that is read; a commented one with three certificates has 30 KiB.
    static let maximumBytes = 1 << 20

    /// Aliases that one file may use. They multiply: with 32, at most 3¹¹ copies of one value can be meant.
    static let maximumAliases = 32

    /// The mapping at the top of the file.
    static func parse(_ bytes: [UInt8], source: String) throws(Configuration.LoadError) -> [Node.Pair] {
        let root = try compose(text(bytes, source: source), source: source)
        guard let root, !root.isNull else {
            throw refusal(source, nil, "the file is empty; config/joblet-config.yml shows every key")
        }
        guard let mapping = root.pairs else {
            let found = YAMLScalar.describe(root)
            throw refusal(
                source, root.mark, "expected a mapping (key: value) at the top of the file, not \(found)")
        }
        return mapping
    }

    private static func text(_ bytes: [UInt8], source: String) throws(Configuration.LoadError) -> String {
        guard bytes.count <= maximumBytes else {
            throw refusal(source, nil, "the file is larger than \(ByteSize.show(maximumBytes))")
        }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw refusal(source, nil, "not YAML: the file is not UTF-8 text")
        }
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        // The parser compares keys through all their aliases, so a short file could keep it busy for days.
        guard aliasLikeWords(in: text) <= maximumAliases else {
            throw refusal(source, nil, "more than \(maximumAliases) YAML aliases (*name)")
        }
        return text
    }

    /// How many words begin with an asterisk: every alias, and what looks like one in quotes and comments. YAML also
    /// breaks lines at characters outside of ASCII, so a word may begin after any of those.
    private static func aliasLikeWords(in text: String) -> Int {
        let before = Set(" \t\r\n[]{},:?-".utf8)
        let after = Set(" \t\r\n*".utf8)
        let newline = UInt8(ascii: "\n")
        let bytes = [newline] + Array(text.utf8) + [newline]
        return bytes.indices.dropFirst().dropLast().count { index in
            bytes[index] == UInt8(ascii: "*") && (bytes[index - 1] >= 0x80 || before.contains(bytes[index - 1]))
                && !after.contains(bytes[index + 1])
        }
    }

    private static func compose(_ text: String, source: String) throws(Configuration.LoadError) -> Node? {
        do {
            return try Node(parsing: text)
        } catch {
            throw Configuration.LoadError([problem(error, in: text, source: source)])
        }
    }

    private static func problem(_ error: ParseError, in text: String, source: String) -> Configuration.Problem {
        switch error {
        case .syntax(let reason, let mark):
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let line = lines.indices.contains(mark.line - 1) ? lines[mark.line - 1] : ""
            if line.prefix(while: { $0 == " " || $0 == "\t" }).contains("\t") {
                return problem(source, mark, "not YAML: a tab in the indentation; only spaces are allowed there")
            }
            return problem(source, mark, "not YAML: \(reason)")
        case .character(let reason, let mark):
            return problem(source, mark, "not YAML: \(reason)")
        case .duplicateKeys(let keys, let mark):
            let names = keys.map(YAMLScalar.quote).joined(separator: ", ")
            return problem(source, mark, "given more than once in one mapping: \(names)")
        }
    }

    private static func problem(
        _ source: String, _ position: Mark?, _ message: String
    ) -> Configuration.Problem {
        Configuration.Problem(source: source, at: position, message)
    }

    private static func refusal(
        _ source: String, _ position: Mark?, _ message: String
    ) -> Configuration.LoadError {
        Configuration.LoadError([problem(source, position, message)])
    }
}
