/// A private key as PEM text that never appears in logs: describing or dumping it shows no key.
public struct PrivateKeyPEM: Sendable, Hashable {
    /// The key itself.
    public let text: String

    /// Wraps PEM text without looking at it.
    public init(_ text: String) {
        self.text = text
    }
}

extension PrivateKeyPEM: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Always `<redacted>`.
    public var description: String { "<redacted>" }

    /// Always `<redacted>`.
    public var debugDescription: String { description }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
