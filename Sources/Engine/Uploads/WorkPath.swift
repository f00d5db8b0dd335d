/// A path below a job's work directory: relative, without `..`, validated when made.
public struct WorkPath: Hashable, Sendable, CustomStringConvertible {
    /// Deeper than any tree that people make, and no more than a process can hold open.
    private static let mostComponents = 256

    /// The path's parts; none for the work directory itself.
    public let components: [String]

    /// The path that `text` spells; throws `invalidArgument` for one that is absolute or leaves the directory.
    public init(_ text: String) throws(EngineError) {
        func refuse(_ reason: String) -> EngineError {
            EngineError(.invalidArgument, "invalid path '\(text.prefix(128))': \(reason)")
        }
        // Bytes, as the kernel sees them: a slash before a combining mark is no slash among characters.
        let bytes = Array(text.utf8)
        guard !bytes.contains(0) else { throw refuse("it contains a null byte") }
        guard bytes.first != UInt8(ascii: "/") else { throw refuse("it is absolute") }
        guard bytes.count < 4096 else { throw refuse("it is too long") }
        let parts = bytes.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
            .filter { $0 != "." }
        guard parts.count <= WorkPath.mostComponents else { throw refuse("it has too many levels") }
        guard !parts.contains("..") else { throw refuse("it leaves the work directory") }
        guard parts.allSatisfy({ $0.utf8.count <= 255 }) else { throw refuse("a name in it is too long") }
        components = parts
    }

    public var description: String { components.joined(separator: "/") }
}
