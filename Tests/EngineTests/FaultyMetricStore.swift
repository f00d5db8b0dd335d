import Backends
import Storage

/// A metric store whose reading and writing can be made to fail.
struct FaultyMetricStore: MetricStore {
    let store: MemoryMetricStore
    let writes = Fault()
    let syncs = Fault()
    let reads = Fault()
    let deletions = Fault()

    init(_ store: MemoryMetricStore = MemoryMetricStore()) { self.store = store }

    func append(_ samples: [MetricSample], to job: JobID) async throws(StorageError) {
        try await writes.pass()
        try await store.append(samples, to: job)
    }

    func skip(to sequence: UInt64, of job: JobID) async throws(StorageError) {
        try await writes.pass()
        try await store.skip(to: sequence, of: job)
    }

    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await syncs.pass()
        return await store.sync(jobs)
    }

    func finish(_ job: JobID) async throws(StorageError) {
        try await syncs.pass()
        await store.finish(job)
    }

    func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await reads.pass()
        return await store.end(of: job)
    }

    func read(_ query: MetricQuery, from sequence: UInt64, limit: Int) async throws(StorageError) -> MetricPage {
        try await reads.pass()
        return try await store.read(query, from: sequence, limit: limit)
    }

    func delete(_ job: JobID) async throws(StorageError) {
        try await deletions.pass()
        await store.delete(job)
    }

    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        await store.jobs(after: job, limit: limit)
    }

    func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await store.trim(job, to: bytes)
    }

    func statistics(of job: JobID) async throws(StorageError) -> MetricStatistics {
        try await store.statistics(of: job)
    }
}
