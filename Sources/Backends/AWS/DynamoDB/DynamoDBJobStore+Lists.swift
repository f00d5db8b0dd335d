public import Storage

extension DynamoDBJobStore {
    public func ids(prefix: JobIDPrefix, limit: Int) async throws(StorageError) -> [JobID] {
        var keys = IndexKeys(
            index: .byPrefix, partition: Attribute.shard(prefix.text), range: prefix.text...(prefix.text + "~"),
            pageSize: min(max(1, limit), 1000))
        var ids: [JobID] = []
        while ids.count < limit, let key = try await next(&keys) {
            guard let id = JobID(key.id) else { throw .corrupt(place: "table \(table.name), jobId \(key.id)") }
            ids.append(id)
        }
        return ids
    }

    public func list(
        _ query: JobQuery, after cursor: JobCursor?, limit: Int
    ) async throws(StorageError) -> JobPage {
        let limit = max(1, limit)
        var sources = sources(of: query, after: cursor, limit: limit)
        var records: [JobRecord] = []
        var seen: Set<String> = []
        while true {
            // One more than the page holds tells whether it is the last.
            let wanted = min(DynamoDBTable.batchKeys, limit - records.count + 1)
            var keys: [IndexKeys.Key] = []
            while keys.count < wanted, let key = try await nextOfAll(&sources) {
                // A job whose status changed meanwhile is in two partitions.
                if seen.insert(key.id).inserted { keys.append(key) }
            }
            if keys.isEmpty { return JobPage(records: records, next: nil) }
            let items = try await storage { () async throws(AWSError) in try await table.items(keys.map(\.id)) }
            var found: [String: JobRecord] = [:]
            // The index may be behind: what was deleted or no longer matches is left out.
            for item in items where item[Attribute.record] != nil {
                let record = try JobRecord(item: item, in: table.name)
                if query.admits(record) { found[record.id.description] = record }
            }
            for record in keys.compactMap({ found[$0.id] }) {
                if records.count == limit {
                    return JobPage(records: records, next: records.last.map { JobCursor($0) })
                }
                records.append(record)
            }
        }
    }

    /// The partitions whose keys, merged, are those of the list.
    private func sources(of query: JobQuery, after cursor: JobCursor?, limit: Int) -> [IndexKeys] {
        let created = query.created ?? .min ... .max
        var low = Attribute.order(created.lowerBound)
        // Behind the cursor and before everything that follows it.
        if let cursor { low = max(low, Attribute.order(cursor) + "!") }
        let high = Attribute.order(created.upperBound) + "~"
        guard low <= high else { return [] }
        let statuses = query.statuses ?? Set(JobStatus.allCases)
        let pageSize = min(1000, limit + 1)
        let areFew = statuses.allSatisfy { !$0.isTerminal }
        if let node = query.node, !areFew {
            return [IndexKeys(index: .byNode, partition: node, range: low...high, pageSize: pageSize)]
        }
        // In the order of a job's life, so that one that moves on is met at least once.
        return JobStatus.allCases.filter(statuses.contains).map { status in
            IndexKeys(index: .byStatus, partition: status.rawValue, range: low...high, pageSize: pageSize)
        }
    }

    private func nextOfAll(_ sources: inout [IndexKeys]) async throws(StorageError) -> IndexKeys.Key? {
        var first: Int?
        for index in sources.indices {
            try await fill(&sources[index])
            guard let key = sources[index].buffer.last else { continue }
            if let known = first, let smallest = sources[known].buffer.last, smallest.order <= key.order { continue }
            first = index
        }
        guard let first else { return nil }
        return sources[first].buffer.popLast()
    }

    private func next(_ keys: inout IndexKeys) async throws(StorageError) -> IndexKeys.Key? {
        try await fill(&keys)
        return keys.buffer.popLast()
    }

    /// Reads the next page of keys where none are left.
    private func fill(_ keys: inout IndexKeys) async throws(StorageError) {
        while keys.buffer.isEmpty, !keys.isRead {
            let request = QueryRequest(
                TableName: table.name, IndexName: keys.index.rawValue,
                KeyConditionExpression: "#partition = :partition AND #sort BETWEEN :low AND :high",
                ExpressionAttributeNames: ["#partition": keys.index.partition, "#sort": keys.index.sort],
                ExpressionAttributeValues: [
                    ":partition": .string(keys.partition), ":low": .string(keys.range.lowerBound),
                    ":high": .string(keys.range.upperBound),
                ],
                ExclusiveStartKey: keys.start, Limit: keys.pageSize)
            let reply = try await storage { () async throws(AWSError) in
                try await table.call("Query", request, as: QueryReply.self)
            }
            let sort = keys.index.sort
            keys.buffer = reply.Items.reversed().compactMap { item in
                guard let id = item[Attribute.jobID]?.text, let order = item[sort]?.text else { return nil }
                return IndexKeys.Key(id: id, order: order)
            }
            keys.start = reply.LastEvaluatedKey
            keys.isRead = reply.LastEvaluatedKey == nil
        }
    }
}

/// The keys in one partition of an index, read page by page.
struct IndexKeys {
    /// The table's indexes.
    enum Index: String, CaseIterable {
        case byNode
        case byStatus
        case byPrefix

        /// The attribute whose value names the partition.
        var partition: String {
            switch self {
            case .byNode: Attribute.node
            case .byStatus: Attribute.status
            case .byPrefix: Attribute.shard
            }
        }

        /// The attribute by which a partition is in order.
        var sort: String { self == .byPrefix ? Attribute.jobID : Attribute.order }
    }

    struct Key {
        var id: String
        var order: String
    }

    let index: Index
    let partition: String
    let range: ClosedRange<String>
    let pageSize: Int
    /// Keys that were read and not taken, the next one last.
    var buffer: [Key] = []
    /// Where the next page begins.
    var start: Item?
    var isRead = false

    init(index: Index, partition: String, range: ClosedRange<String>, pageSize: Int) {
        self.index = index
        self.partition = partition
        self.range = range
        self.pageSize = pageSize
    }
}
