public import Storage
import Synchronization

/// Keeps job records in a DynamoDB table: an item a job, with indexes by node, by status and by beginning of the id.
///
/// The attributes are described in docs/storage.md. `put` and `delete` are conditional updates and durable when
/// they return. `get` and the records of a list are read strongly consistent; which records a list and `ids` find
/// comes from indexes, which follow a write within moments.
public final class DynamoDBJobStore: JobStore {
    let table: DynamoDBTable
    let configuration: DynamoDBConfiguration
    /// Nodes whose incarnation was seen in the table; it never changes there.
    private let incarnations = Mutex<[String: String]>([:])

    /// Updates in flight of one `put`.
    private static let width = 16
    /// DynamoDB takes items of up to 400 KB, the names of attributes counted.
    private static let largestRecord = 390_000

    /// A store over `http`; nothing is sent before the first call.
    package init(_ configuration: DynamoDBConfiguration, http: HTTPClient) {
        self.configuration = configuration
        table = DynamoDBTable(
            name: configuration.table, service: AWSService("dynamodb", configuration.aws, http: http))
    }

    /// What was sent so far.
    package var counts: AWSService.Counts { table.service.counts }

    public func put(_ records: [JobRecord]) async throws(StorageError) {
        var refusal: StorageError?
        var count = records.count
        if records.count > 1, let first = try await firstRefused(records) {
            (count, refusal) = (first.index, first.refusal)
        }
        try await put(all: records[..<count])
        if let refusal { throw refusal }
    }

    /// Every update is durable when it is answered.
    public func sync() async throws(StorageError) {}

    public func get(_ id: JobID) async throws(StorageError) -> JobRecord {
        guard let item = try await item(id.description), item[Attribute.record] != nil else { throw .notFound }
        return try JobRecord(item: item, in: table.name)
    }

    public func delete(_ id: JobID, version: UInt64) async throws(StorageError) {
        let update = UpdateItemRequest(
            TableName: table.name, Key: Attribute.key(id),
            UpdateExpression: "SET #deleted = :version REMOVE "
                + Attribute.ofRecord.map { "#\($0)" }.joined(separator: ", "),
            ConditionExpression: "(attribute_not_exists(#deleted) OR #deleted < :version) "
                + "AND (attribute_not_exists(#version) OR #version <= :version)",
            ExpressionAttributeNames: Attribute.names(Attribute.ofRecord + [Attribute.deleted]),
            ExpressionAttributeValues: [":version": .number(version)])
        // Where the condition fails there is a later tombstone or a newer record: nothing changes.
        _ = try await self.update(update)
    }

    // MARK: Putting

    /// The first record that a tombstone or another incarnation refuses, looked for before any is stored.
    private func firstRefused(
        _ records: [JobRecord]
    ) async throws(StorageError) -> (index: Int, refusal: StorageError)? {
        let ids = Set(records.map(\.id.description))
        var tombstones: [String: UInt64] = [:]
        for item in try await storage({ () async throws(AWSError) in try await table.items(Array(ids)) }) {
            if let id = item[Attribute.jobID]?.text { tombstones[id] = item[Attribute.deleted]?.unsigned }
        }
        for (index, record) in records.enumerated() {
            if let tombstone = tombstones[record.id.description], record.version <= tombstone {
                return (index, .refused(reason: "job \(record.id) was deleted"))
            }
            if let refusal = try await bind(record.node) { return (index, refusal) }
        }
        return nil
    }

    private func put(all given: ArraySlice<JobRecord>) async throws(StorageError) {
        // Of several versions of a job only the highest would stay: the others need no write.
        let records = Dictionary(given.map { ($0.id, $0) }) { $0.version >= $1.version ? $0 : $1 }.values
        var failure: StorageError?
        await withTaskGroup(of: StorageError?.self) { group in
            for (index, record) in records.enumerated() {
                if index >= Self.width, let result = await group.next() { failure = failure ?? result }
                if failure != nil { break }
                group.addTask {
                    do throws(StorageError) {
                        try await self.put(record)
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            for await result in group { failure = failure ?? result }
        }
        if let failure { throw failure }
    }

    private func put(_ record: JobRecord) async throws(StorageError) {
        if let refusal = try await bind(record.node) { throw refusal }
        let json = String(decoding: record.json, as: UTF8.self)
        guard json.utf8.count <= Self.largestRecord else {
            throw .quota(reason: "the record of job \(record.id) is larger than an item of DynamoDB")
        }
        var values = record.attributes(json: json)
        let sets = values.keys.sorted()
        var expression = "SET " + sets.map { "#\($0) = :\($0)" }.joined(separator: ", ")
        if record.status.isTerminal, let seconds = configuration.timeToLive {
            values[Attribute.expiresAt] = .number((record.endedAt ?? record.createdAt) / 1_000_000_000 + seconds)
            expression += ", #expiresAt = :expiresAt"
        } else {
            expression += " REMOVE #expiresAt"
        }
        let update = UpdateItemRequest(
            TableName: table.name, Key: Attribute.key(record.id), UpdateExpression: expression,
            ConditionExpression: "(attribute_not_exists(#version) OR #version < :version) "
                + "AND (attribute_not_exists(#deleted) OR #deleted < :version)",
            ExpressionAttributeNames: Attribute.names(sets + [Attribute.expiresAt, Attribute.deleted]),
            ExpressionAttributeValues: Dictionary(uniqueKeysWithValues: values.map { (":\($0)", $1) }))
        if try await self.update(update) { return }
        // A version that is there already is ignored; one that was deleted is refused.
        let item = try await item(record.id.description)
        if let tombstone = item?[Attribute.deleted]?.unsigned, record.version <= tombstone {
            throw .refused(reason: "job \(record.id) was deleted")
        }
    }

    /// Makes the node's incarnation the one in the table, or finds that it is another.
    private func bind(_ node: NodeIdentity) async throws(StorageError) -> StorageError? {
        if let known = incarnations.withLock({ $0[node.id] }) { return Self.refusal(of: node, known: known) }
        let key = Attribute.nodePrefix + node.id
        let put = PutItemRequest(
            TableName: table.name,
            Item: [Attribute.jobID: .string(key), Attribute.incarnation: .string(node.incarnation)],
            ConditionExpression: "attribute_not_exists(jobId)")
        do throws(AWSError) {
            _ = try await table.call("PutItem", put, as: NoReply.self)
            incarnations.withLock { $0[node.id] = node.incarnation }
            return nil
        } catch {
            guard error.code == DynamoDBTable.conditionFailed else { throw storageError(error) }
        }
        guard let known = try await item(key)?[Attribute.incarnation]?.text else {
            throw .unavailable(reason: "table \(table.name): node \(node.id) was bound and is gone")
        }
        incarnations.withLock { $0[node.id] = known }
        return Self.refusal(of: node, known: known)
    }

    private static func refusal(of node: NodeIdentity, known: String) -> StorageError? {
        known == node.incarnation ? nil : .refused(reason: "node \(node.id) writes from another data directory")
    }

    // MARK: Calls

    /// Whether the condition held.
    private func update(_ update: UpdateItemRequest) async throws(StorageError) -> Bool {
        do throws(AWSError) {
            _ = try await table.call("UpdateItem", update, as: NoReply.self)
            return true
        } catch {
            guard error.code == DynamoDBTable.conditionFailed else { throw storageError(error) }
            return false
        }
    }

    private func item(_ key: String) async throws(StorageError) -> Item? {
        try await storage { () async throws(AWSError) in try await table.item(key) }
    }

    /// Calls `body` with its error as the store's.
    func storage<Value>(_ body: () async throws(AWSError) -> Value) async throws(StorageError) -> Value {
        do throws(AWSError) {
            return try await body()
        } catch {
            throw storageError(error)
        }
    }

    func storageError(_ error: AWSError) -> StorageError {
        if error.code == "ResourceNotFoundException" {
            return .unavailable(reason: "DynamoDB table \(table.name) does not exist; make it, or set createTable")
        }
        return StorageError(error, "DynamoDB table \(table.name)")
    }
}
