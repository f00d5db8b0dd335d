public import Storage
public import Testing

/// One promise every `MetricStore` makes, runnable against any of them.
public struct MetricStoreBehaviour: Sendable, CustomTestStringConvertible {
    /// The promise in words.
    public let testDescription: String
    /// Whether it is about what outlives the store's process.
    public let needsReopening: Bool
    /// Fails the running test where a store breaks the promise.
    public let check: @Sendable (StoreUnderTest<any MetricStore>) async throws -> Void

    /// Every promise that can be checked on one open store.
    public static let all = (appending + reading + lifecycle + retention).filter { !$0.needsReopening }

    /// The promises of stores that outlive their process.
    public static let persistent = (appending + reading + lifecycle + retention).filter(\.needsReopening)

    init(_ description: String, _ check: @escaping @Sendable (any MetricStore) async throws -> Void) {
        testDescription = description
        needsReopening = false
        self.check = { subject in try await check(subject.store) }
    }

    init(
        reopening description: String,
        _ check: @escaping @Sendable (StoreUnderTest<any MetricStore>) async throws -> Void
    ) {
        testDescription = description
        needsReopening = true
        self.check = check
    }
}

extension MetricStore {
    /// All samples that match, read in pages of `limit`.
    public func samples(
        _ query: MetricQuery, from sequence: UInt64 = 0, pages limit: Int = 100
    ) async throws -> [MetricSample] {
        var samples: [MetricSample] = []
        var next = sequence
        while true {
            let page = try await read(query, from: next, limit: limit)
            #expect(page.samples.count <= limit)
            samples += page.samples
            if page.isLast {
                #expect(page.next >= next)
                return samples
            }
            #expect(page.samples.count == limit, "a page that is not the last is full")
            guard page.next > next else { throw StalledSamples(next: next) }
            next = page.next
        }
    }
}

/// A page that was not the last and brought the reader no further.
public struct StalledSamples: Error {
    /// Where the reader stands.
    public var next: UInt64
}
