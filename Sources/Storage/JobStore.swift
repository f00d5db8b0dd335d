/// Keeps job records.
///
/// - Of each job the store holds the highest version that it was given, in whatever order they came:
///   a record, or the tombstone that a delete left. At equal versions the tombstone wins.
/// - `put` is idempotent by version: a version that the store has, or an older one, is ignored.
/// - A delete is a version too: records at or below a tombstone are refused for good, a delete below
///   the record that is there changes nothing.
/// - Different nodes may share a store; a node only ever writes its own records. The incarnation of the
///   first record of a node is that node's for good: another one is refused, records or not.
public protocol JobStore: Sendable {
    /// Makes records visible to readers; of several versions of one job the highest stays.
    ///
    /// Throws `refused` where a record is not above its job's tombstone or belongs to another
    /// incarnation of the same node; the records before it in the array are stored, those behind it not.
    func put(_ records: [JobRecord]) async throws(StorageError)

    /// Makes everything put or deleted so far durable.
    func sync() async throws(StorageError)

    /// The record of a job; throws `notFound`.
    func get(_ id: JobID) async throws(StorageError) -> JobRecord

    /// The ids that begin with `prefix`, ascending, at most `limit`.
    func ids(prefix: JobIDPrefix, limit: Int) async throws(StorageError) -> [JobID]

    /// A page of the records that match `query`, in order of creation time and id, at most `limit`.
    func list(_ query: JobQuery, after cursor: JobCursor?, limit: Int) async throws(StorageError) -> JobPage

    /// Replaces a job's record by a tombstone of that version; no error where there is none.
    func delete(_ id: JobID, version: UInt64) async throws(StorageError)
}

/// Which records are asked for; the default is all.
public struct JobQuery: Sendable, Hashable {
    /// Only this node's records.
    public var node: String?
    /// Only records in one of these states.
    public var statuses: Set<JobStatus>?
    /// Only records with exactly this name.
    public var name: String?
    /// Only records that were accepted in this range of nanoseconds since 1970.
    public var created: ClosedRange<Int64>?

    /// Every record, narrowed by the arguments.
    public init(
        node: String? = nil, statuses: Set<JobStatus>? = nil, name: String? = nil,
        created: ClosedRange<Int64>? = nil
    ) {
        self.node = node
        self.statuses = statuses
        self.name = name
        self.created = created
    }

    /// Whether a record matches.
    public func admits(_ record: JobRecord) -> Bool {
        node.map { $0 == record.node.id } ?? true && statuses.map { $0.contains(record.status) } ?? true
            && name.map { $0 == record.specification.name } ?? true
            && created.map { $0.contains(record.createdAt) } ?? true
    }
}

/// The place of a record in a list.
public struct JobCursor: Sendable, Hashable, Comparable, Codable {
    /// Nanoseconds since 1970 at which the record's job was accepted.
    public var createdAt: Int64
    /// The record's job.
    public var id: JobID

    /// The place of a record.
    public init(createdAt: Int64, id: JobID) {
        self.createdAt = createdAt
        self.id = id
    }

    /// The place of `record`.
    public init(_ record: JobRecord) {
        self.init(createdAt: record.createdAt, id: record.id)
    }

    public static func < (left: JobCursor, right: JobCursor) -> Bool {
        (left.createdAt, left.id) < (right.createdAt, right.id)
    }
}

/// A page of records.
public struct JobPage: Sendable, Equatable {
    /// The records, by creation time and id.
    public var records: [JobRecord]
    /// Where the next page begins; nil after the last.
    public var next: JobCursor?

    /// A page with the given contents.
    public init(records: [JobRecord], next: JobCursor?) {
        self.records = records
        self.next = next
    }
}
