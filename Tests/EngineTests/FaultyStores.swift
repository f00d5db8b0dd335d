import Backends
import Storage

/// Makes calls fail, or wait, for as long as a test wants.
actor Fault {
    private var failure: StorageError?
    private var isStalled = false
    private var held: [CheckedContinuation<Void, Never>] = []
    private var observers: [CheckedContinuation<Void, Never>] = []
    private(set) var failures = 0

    /// Every call fails with `failure`; none where it is nil.
    func fail(with failure: StorageError?) { self.failure = failure }

    /// The failure of a store that cannot be reached.
    func goDown() { failure = .unavailable(reason: "test") }

    /// Calls fail no more.
    func comeBack() { failure = nil }

    /// Every call waits until `release`, whether its task is cancelled or not.
    func stall() { isStalled = true }

    /// Lets waiting calls and those to come go on.
    func release() {
        isStalled = false
        for continuation in held { continuation.resume() }
        held = []
    }

    /// Waits until a call is being held.
    func untilHeld() async {
        if held.isEmpty { await withCheckedContinuation { observers.append($0) } }
    }

    /// How many calls are being held.
    var heldCount: Int { held.count }

    /// Where a call passes.
    func pass() async throws(StorageError) {
        if isStalled {
            await withCheckedContinuation { continuation in
                held.append(continuation)
                for observer in observers { observer.resume() }
                observers = []
            }
        }
        if let failure {
            failures += 1
            throw failure
        }
    }
}

/// A log store whose reading and writing can be made to fail.
struct FaultyLogStore: LogStore {
    let store: MemoryLogStore
    let writes = Fault()
    let reads = Fault()
    let deletions = Fault()

    init(_ store: MemoryLogStore = MemoryLogStore()) { self.store = store }

    func append(_ run: FragmentRun, to job: JobID) async throws(StorageError) {
        try await writes.pass()
        try await store.append(run, to: job)
    }

    func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError) {
        try await writes.pass()
        try await store.skip(to: position, of: job, time: time)
    }

    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await writes.pass()
        return await store.sync(jobs)
    }

    func finish(_ job: JobID) async throws(StorageError) {
        try await writes.pass()
        await store.finish(job)
    }

    func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await reads.pass()
        return await store.end(of: job)
    }

    func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await writes.pass()
        return try await store.trim(job, to: bytes)
    }

    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) async throws(StorageError) -> LogPage {
        try await reads.pass()
        return try await store.read(query, after: cursor, maxBytes: maxBytes)
    }

    func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        try await reads.pass()
        return try await store.cursor(forLast: lines, of: query)
    }

    func delete(_ job: JobID) async throws(StorageError) {
        try await deletions.pass()
        await store.delete(job)
    }

    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        await store.jobs(after: job, limit: limit)
    }

    func statistics(of job: JobID) async throws(StorageError) -> LogStatistics {
        try await store.statistics(of: job)
    }
}

/// A job store that can be made to fail, for all records or for those with a poisoned name.
struct FaultyJobStore: JobStore {
    /// Records with this name are never taken.
    static let poisonedName = "poison"

    let store: MemoryJobStore
    let writes = Fault()
    let reads = Fault()
    let puts = Puts()
    let poison: StorageError

    /// The records that the store was given.
    actor Puts {
        private(set) var records: [JobRecord] = []

        func add(_ records: [JobRecord]) { self.records += records }
    }

    init(_ store: MemoryJobStore = MemoryJobStore(), poison: StorageError = .unavailable(reason: "poison")) {
        self.store = store
        self.poison = poison
    }

    func put(_ records: [JobRecord]) async throws(StorageError) {
        await puts.add(records)
        try await writes.pass()
        for record in records {
            guard record.specification.name != FaultyJobStore.poisonedName else { throw poison }
            try await store.put([record])
        }
    }

    func sync() async throws(StorageError) { try await writes.pass() }

    func get(_ id: JobID) async throws(StorageError) -> JobRecord {
        try await reads.pass()
        return try await store.get(id)
    }

    func ids(prefix: JobIDPrefix, limit: Int) async throws(StorageError) -> [JobID] {
        try await reads.pass()
        return await store.ids(prefix: prefix, limit: limit)
    }

    func list(_ query: JobQuery, after cursor: JobCursor?, limit: Int) async throws(StorageError) -> JobPage {
        try await reads.pass()
        return await store.list(query, after: cursor, limit: limit)
    }

    func delete(_ id: JobID, version: UInt64) async throws(StorageError) {
        try await writes.pass()
        await store.delete(id, version: version)
    }
}
