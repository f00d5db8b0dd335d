/// A message of the other side that means nothing.
struct MalformedMessage: Error, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
