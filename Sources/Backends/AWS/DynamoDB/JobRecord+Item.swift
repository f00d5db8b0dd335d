import FoundationEssentials
import Storage

/// The names of the table's attributes.
enum Attribute {
    static let jobID = "jobId"
    static let version = "version"
    static let node = "node"
    static let incarnation = "incarnation"
    static let status = "status"
    static let name = "name"
    static let createdAt = "createdAt"
    static let order = "order"
    static let shard = "shard"
    static let record = "record"
    static let deleted = "deleted"
    static let expiresAt = "expiresAt"

    /// What a tombstone has not.
    static let ofRecord = [version, node, incarnation, status, name, createdAt, order, shard, record, expiresAt]

    /// How the key of a node's item begins; no job id does.
    static let nodePrefix = "node/"

    /// The key of a job's item.
    static func key(_ id: JobID) -> Item { [jobID: .string(id.description)] }

    /// Placeholders for names, of which many are reserved words.
    static func names(_ attributes: [String]) -> [String: String] {
        Dictionary(attributes.map { ("#\($0)", $0) }) { first, _ in first }
    }

    /// Text that sorts as times do: sixteen hexadecimal digits.
    static func order(_ time: Int64) -> String {
        let digits = String(UInt64(bitPattern: time) ^ (1 << 63), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Text that sorts as places in lists do.
    static func order(_ cursor: JobCursor) -> String { "\(order(cursor.createdAt))#\(cursor.id)" }

    /// The partition of the index by beginning of the id.
    static func shard(_ text: String) -> String { String(text.prefix(1)) }
}

extension JobRecord {
    /// The attributes of the record's item, without its key and end.
    func attributes(json: String) -> Item {
        [
            Attribute.version: .number(version), Attribute.node: .string(node.id),
            Attribute.incarnation: .string(node.incarnation), Attribute.status: .string(status.rawValue),
            Attribute.name: .string(specification.name), Attribute.createdAt: .number(createdAt),
            Attribute.order: .string(Attribute.order(JobCursor(self))),
            Attribute.shard: .string(Attribute.shard(id.description)), Attribute.record: .string(json),
        ]
    }

    /// The record of an item; throws `corrupt` where it is not one of this item.
    init(item: Item, in table: String) throws(StorageError) {
        let id = item[Attribute.jobID]?.text ?? ""
        let json = item[Attribute.record]?.text ?? ""
        guard let record = try? JSONDecoder().decode(JobRecord.self, from: Data(json.utf8)),
            record.id.description == id
        else { throw .corrupt(place: "table \(table), jobId \(id)") }
        self = record
    }
}
