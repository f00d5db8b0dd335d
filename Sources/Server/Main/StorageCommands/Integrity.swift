public import Storage

/// What a store says of itself as a whole.
public enum Integrity {
    /// Whether `store`, which keeps `what`, is sound as far as it can tell; prints what is wrong.
    public static func isSound(_ store: any Sendable, _ what: String) async throws(StorageError) -> Bool {
        guard let store = store as? any CheckableStore else { return true }
        let problems = try await store.integrityProblems()
        for problem in problems { print("\(what): \(problem)") }
        return problems.isEmpty
    }
}
