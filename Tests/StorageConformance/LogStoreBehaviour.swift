public import Storage
public import Testing

/// One promise every `LogStore` makes, runnable against any of them.
public struct LogStoreBehaviour: Sendable, CustomTestStringConvertible {
    /// The promise in words.
    public let testDescription: String
    /// Whether it is about what outlives the store's process.
    public let needsReopening: Bool
    /// Fails the running test where a store breaks the promise.
    public let check: @Sendable (StoreUnderTest<any LogStore>) async throws -> Void

    /// Every promise that can be checked on one open store.
    public static let all = promises.filter { !$0.needsReopening }

    /// The promises of stores that outlive their process.
    public static let persistent = promises.filter(\.needsReopening)

    private static let promises = appending + reading + tails + filters + lifecycle + retention

    init(_ description: String, _ check: @escaping @Sendable (any LogStore) async throws -> Void) {
        testDescription = description
        needsReopening = false
        self.check = { subject in try await check(subject.store) }
    }

    init(
        reopening description: String,
        _ check: @escaping @Sendable (StoreUnderTest<any LogStore>) async throws -> Void
    ) {
        testDescription = description
        needsReopening = true
        self.check = check
    }
}

/// A fresh store, and how to open it again over the same data.
public struct StoreUnderTest<Store: Sendable>: Sendable {
    /// The store.
    public let store: Store
    /// A second store over what the first one left, as after the death of its process.
    public let reopen: @Sendable () async throws -> Store

    /// A store under test.
    public init(store: Store, reopen: @escaping @Sendable () async throws -> Store) {
        self.store = store
        self.reopen = reopen
    }
}
