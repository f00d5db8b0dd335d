/// Why a text is not YAML.
public enum ParseError: Error, Equatable, CustomStringConvertible {
    /// What stands at the mark cannot stand there.
    case syntax(String, Mark)
    /// The character at the mark cannot stand in YAML anywhere.
    case character(String, Mark)
    /// These keys stand in one mapping more than once, in the order of their texts; the mark is where the first of
    /// them stands first. A key that is a sequence or a mapping has no text.
    case duplicateKeys([String], Mark)

    /// Place and reason, one line.
    public var description: String {
        switch self {
        case .syntax(let reason, let mark), .character(let reason, let mark):
            "line \(mark.line), column \(mark.column): \(reason)"
        case .duplicateKeys(let keys, let mark):
            "line \(mark.line), column \(mark.column): given more than once in one mapping: "
                + keys.joined(separator: ", ")
        }
    }
}
