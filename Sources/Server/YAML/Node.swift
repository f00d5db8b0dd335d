/// A place in a YAML text, both from 1; columns count Unicode scalars.
public struct Mark: Sendable, Equatable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// A value of a YAML document and where it begins.
///
/// Two are equal when they say the same, wherever they stand and whether or not they are quoted.
public struct Node: Sendable, Hashable {
    public enum Content: Sendable, Hashable {
        case scalar(Scalar)
        case sequence([Node])
        /// In the order of the text; no key comes twice.
        case mapping([Pair])
    }

    /// A single value: its text, and whether quotes or a block style make it text for certain.
    public struct Scalar: Sendable, Hashable {
        /// The text without its quotes.
        public let text: String
        /// Whether it was written in quotes or as a block.
        public let isQuoted: Bool

        public init(_ text: String, isQuoted: Bool = false) {
            self.text = text
            self.isQuoted = isQuoted
        }

        public static func == (left: Self, right: Self) -> Bool { left.text == right.text }

        public func hash(into hasher: inout Hasher) { hasher.combine(text) }
    }

    /// An entry of a mapping.
    public struct Pair: Sendable, Hashable {
        public let key: Node
        public let value: Node
    }

    public let content: Content
    /// Nil for a value that stands in no text.
    public let mark: Mark?

    public init(_ content: Content, at mark: Mark? = nil) {
        self.content = content
        self.mark = mark
    }

    public static func == (left: Self, right: Self) -> Bool { left.content == right.content }

    public func hash(into hasher: inout Hasher) { hasher.combine(content) }

    /// The single value, nil for a sequence and a mapping.
    public var scalar: Scalar? {
        guard case .scalar(let scalar) = content else { return nil }
        return scalar
    }

    /// The entries of a mapping, nil for anything else.
    public var pairs: [Pair]? {
        guard case .mapping(let pairs) = content else { return nil }
        return pairs
    }

    /// Whether it says that there is no value: nothing at all, or a form of null.
    public var isNull: Bool {
        guard let scalar, !scalar.isQuoted else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.text)
    }
}
