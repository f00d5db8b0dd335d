import YAML

/// How values of one kind stand in a configuration file: what is allowed, how they are read and shown.
struct ValueFormat<Value: Sendable>: Sendable {
    /// What is allowed, as the end of "expected …".
    let allowed: String
    /// Reads a YAML value.
    let read: @Sendable (Node) throws(ValueError) -> Value
    /// The value as a file would say it.
    let show: @Sendable (Value) -> String

    init(
        allowed: String, read: @escaping @Sendable (Node) throws(ValueError) -> Value,
        show: @escaping @Sendable (Value) -> String
    ) {
        self.allowed = allowed
        self.read = read
        self.show = show
    }

    /// A format of single values; `parse` gives nil for what is not allowed.
    init(
        allowed: String, parse: @escaping @Sendable (YAMLScalar) -> Value?,
        show: @escaping @Sendable (Value) -> String
    ) {
        self.init(
            allowed: allowed,
            read: { (node: Node) throws(ValueError) in
                guard let scalar = YAMLScalar(node), let value = parse(scalar) else {
                    throw ValueError(expected: allowed, found: node)
                }
                return value
            },
            show: show)
    }
}

/// Why a value of the file was refused.
struct ValueError: Error {
    /// One thing wrong with the value.
    struct Finding {
        /// Place in the value, for lists: `[2]`.
        var element = ""
        /// Place in the file, where it is not that of the whole value.
        var position: Mark?
        var message: String
    }

    var findings: [Finding]

    init(findings: [Finding]) {
        self.findings = findings
    }

    init(_ message: String) {
        self.init(findings: [Finding(message: message)])
    }

    init(expected allowed: String, found node: Node) {
        self.init("expected \(allowed), not \(YAMLScalar.describe(node))")
    }
}

/// A single YAML value: its text, and whether quotes or a block style make it text for certain.
struct YAMLScalar: Sendable {
    /// The text without its quotes.
    let text: String
    /// Whether it was written in quotes or as a block.
    let isQuoted: Bool

    init(_ text: String, isQuoted: Bool = false) {
        self.text = text
        self.isQuoted = isQuoted
    }

    /// Nil for a list, a mapping and null.
    init?(_ node: Node) {
        guard let scalar = node.scalar, !node.isNull else { return nil }
        self.init(scalar.text, isQuoted: scalar.isQuoted)
    }

    /// The text if it was not quoted: the form of numbers and truth values.
    var plain: String? { isQuoted ? nil : text }

    /// A value in words, short and safe to print on one line.
    static func describe(_ node: Node) -> String {
        switch node.content {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .scalar(let scalar): node.isNull ? "nothing" : quote(scalar.text)
        }
    }

    /// A text in double quotes, cut to a readable length, control characters escaped.
    static func quote(_ text: String) -> String {
        let limit = 80
        let shown = text.unicodeScalars.prefix(limit).map { $0.escaped(asASCII: false) }.joined()
        return "\"\(shown)\(text.unicodeScalars.count > limit ? "…" : "")\""
    }
}
