/// A place in a YAML text, both from 1; columns count Unicode scalars.
public struct Mark: Sendable, Equatable {
    /// The line.
    public let line: Int
    /// The column.
    public let column: Int

    /// A place.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// A value of a YAML document and where it begins.
///
/// Two are equal when they say the same, wherever they stand and whether or not they are quoted.
public struct Node: Sendable, Hashable {
    /// What a value is.
    public enum Content: Sendable, Hashable {
        /// A single value.
        case scalar(Scalar)
        /// A list, in the order of the text.
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

        /// A value with that text.
        public init(_ text: String, isQuoted: Bool = false) {
            self.text = text
            self.isQuoted = isQuoted
        }

        /// Whether both have the same text.
        public static func == (left: Self, right: Self) -> Bool { left.text == right.text }

        /// As `==` compares.
        public func hash(into hasher: inout Hasher) { hasher.combine(text) }
    }

    /// An entry of a mapping.
    public struct Pair: Sendable, Hashable {
        /// The name.
        public let key: Node
        /// What it names.
        public let value: Node
    }

    /// What it is.
    public let content: Content
    /// Where it begins; nil for a value that stands in no text.
    public let mark: Mark?

    /// A value at that place.
    public init(_ content: Content, at mark: Mark? = nil) {
        self.content = content
        self.mark = mark
    }

    /// Whether both say the same.
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
