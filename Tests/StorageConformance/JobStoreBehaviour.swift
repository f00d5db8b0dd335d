public import Storage
public import Testing

/// One promise every `JobStore` makes, runnable against any of them.
public struct JobStoreBehaviour: Sendable, CustomTestStringConvertible {
    /// The promise in words.
    public let testDescription: String
    /// Whether it is about what outlives the store's process.
    public let needsReopening: Bool
    /// Fails the running test where a store breaks the promise.
    public let check: @Sendable (StoreUnderTest<any JobStore>) async throws -> Void

    /// Every promise that can be checked on one open store.
    public static let all = (versions + lists).filter { !$0.needsReopening }

    /// The promises of stores that outlive their process.
    public static let persistent = (versions + lists).filter(\.needsReopening)

    init(_ description: String, _ check: @escaping @Sendable (any JobStore) async throws -> Void) {
        testDescription = description
        needsReopening = false
        self.check = { subject in try await check(subject.store) }
    }

    init(
        reopening description: String,
        _ check: @escaping @Sendable (StoreUnderTest<any JobStore>) async throws -> Void
    ) {
        testDescription = description
        needsReopening = true
        self.check = check
    }
}

extension JobRecord {
    /// A record of a new job, with `change` applied.
    static func sample(
        _ id: JobID = .random(), node: String = "node-1", incarnation: String = "first", version: UInt64 = 1,
        status: JobStatus = .running, name: String = "", createdAt: Int64 = 1_000,
        _ change: (inout JobRecord) -> Void = { _ in }
    ) -> JobRecord {
        var specification = JobSpecification(command: "/bin/true")
        specification.name = name
        var record = JobRecord(
            id: id, node: NodeIdentity(id: node, incarnation: incarnation), specification: specification,
            createdAt: createdAt)
        record.version = version
        record.status = status
        change(&record)
        return record
    }

    /// A record with every property set to something that is easily lost.
    static var full: JobRecord {
        sample(version: 7, status: .failed, name: "naïve \"job\"\n'; DROP TABLE jobs; --") { record in
            record.reason = "oom"
            record.exitCode = -1
            record.signal = 9
            record.pid = .max
            record.lease = JobLease(startToken: .max, idRange: 1 << 31, bootID: "boot")
            record.createdAt = .max
            record.startedAt = .min
            record.endedAt = 0
            record.specification.arguments = ["", "-c", "\u{0}\u{1F600}"]
            record.specification.workDirectory = "/work"
            record.specification.environment = ["A": "", "": "b"]
            record.specification.secretEnvironment = ["S": SealedValue(base64: "AAAA")]
            record.specification.limits.memoryBytes = .max
            record.specification.uploads = ["a/b"]
            record.specification.usesInit = true
            record.specification.durability = .power
            record.specification.outputPolicy = .drop
            record.specification.timeout = .max
            record.specification.labels = ["k": "v"]
        }
    }
}

extension JobStore {
    /// All records that match, read in pages of `limit`.
    func records(_ query: JobQuery = JobQuery(), pages limit: Int = 100) async throws -> [JobRecord] {
        var records: [JobRecord] = []
        var cursor: JobCursor?
        repeat {
            let page = try await list(query, after: cursor, limit: limit)
            #expect(page.records.count <= limit)
            #expect(page.next == nil || page.next == page.records.last.map { JobCursor($0) })
            records += page.records
            cursor = page.next
        } while cursor != nil
        return records
    }
}
