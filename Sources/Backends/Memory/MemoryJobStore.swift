public import Storage

/// Keeps job records in memory: the reference for other backends, and the store of tests.
public actor MemoryJobStore: JobStore {
    private var records: [JobID: JobRecord] = [:]
    private var tombstones: [JobID: (version: UInt64, time: Int64)] = [:]
    private var incarnations: [String: String] = [:]

    private let now: @Sendable () -> Int64

    /// An empty store; `now` tells the time that tombstones get, in nanoseconds since 1970.
    public init(now: @escaping @Sendable () -> Int64 = Tombstones.now) {
        self.now = now
    }

    public func put(_ records: [JobRecord]) throws(StorageError) {
        for record in records { try put(record) }
    }

    public func sync() {}

    public func get(_ id: JobID) throws(StorageError) -> JobRecord {
        guard let record = records[id] else { throw .notFound }
        return record
    }

    public func ids(prefix: JobIDPrefix, limit: Int) -> [JobID] {
        Array(records.keys.filter(prefix.matches).sorted().prefix(max(0, limit)))
    }

    public func list(_ query: JobQuery, after cursor: JobCursor?, limit: Int) -> JobPage {
        let limit = max(1, limit)
        let matching = records.values.filter { record in
            query.admits(record) && cursor.map { JobCursor(record) > $0 } ?? true
        }
        let page = matching.sorted { JobCursor($0) < JobCursor($1) }.prefix(limit)
        return JobPage(records: Array(page), next: page.count < matching.count ? page.last.map { JobCursor($0) } : nil)
    }

    public func delete(_ id: JobID, version: UInt64) {
        if let record = records[id], record.version <= version { records[id] = nil }
        let time = now()
        tombstones[id] = (max(version, tombstones[id]?.version ?? 0), time)
        let oldest = Tombstones.oldest(at: time)
        if tombstones.contains(where: { $0.value.time < oldest }) {
            tombstones = tombstones.filter { $0.value.time >= oldest }
        }
    }

    private func put(_ record: JobRecord) throws(StorageError) {
        let known = incarnations[record.node.id]
        guard known == nil || known == record.node.incarnation else {
            throw .refused(reason: "node \(record.node.id) writes from another data directory")
        }
        if let tombstone = tombstones[record.id], record.version <= tombstone.version {
            throw .refused(reason: "job \(record.id) was deleted")
        }
        incarnations[record.node.id] = record.node.incarnation
        if let held = records[record.id], held.version >= record.version { return }
        records[record.id] = record
    }
}
