package import Storage

extension DynamoDBJobStore {
    /// Finds the table with its indexes, made first where that is asked for, and throws why it cannot be used.
    package func check() async throws(StorageError) {
        let table = table
        do throws(AWSError) {
            try await checkKeys(try await table.call("DescribeTable", TableName(TableName: table.name)))
        } catch {
            guard error.code == "ResourceNotFoundException", configuration.createsTable else {
                throw storageError(error)
            }
            try await create()
        }
        if configuration.createsTable, configuration.timeToLive != nil { try await setTimeToLive() }
    }

    private func create() async throws(StorageError) {
        do throws(AWSError) {
            _ = try await table.call("CreateTable", definition, as: NoReply.self)
        } catch {
            // Another node makes it at the same time.
            guard error.code == "ResourceInUseException" else { throw storageError(error) }
        }
        try await storage { () async throws(AWSError) in try await checkKeys(nil) }
    }

    /// Turns the table's time to live on where it is off.
    private func setTimeToLive() async throws(StorageError) {
        let found = try await storage { () async throws(AWSError) in
            try await table.call(
                "DescribeTimeToLive", TableName(TableName: table.name), as: DescribeTimeToLiveReply.self)
        }.TimeToLiveDescription
        if ["ENABLED", "ENABLING"].contains(found.TimeToLiveStatus) {
            guard found.AttributeName == Attribute.expiresAt else {
                throw .unavailable(
                    reason:
                        "DynamoDB table \(table.name): its time to live goes by \(found.AttributeName ?? "nothing"), "
                        + "not by \(Attribute.expiresAt)")
            }
            return
        }
        do throws(AWSError) {
            _ = try await table.call(
                "UpdateTimeToLive", UpdateTimeToLiveRequest(TableName: table.name), as: NoReply.self)
        } catch {
            // Set already, by another node.
            guard error.code == "ValidationException" else { throw storageError(error) }
        }
    }

    /// Waits until the table and its indexes are active, up to two minutes, and compares their keys with ours.
    private func checkKeys(_ found: DescribeTableReply?) async throws(AWSError) {
        var found = found
        for _ in 0..<240 {
            let reply: DescribeTableReply
            if let found {
                reply = found
            } else {
                reply = try await table.call("DescribeTable", TableName(TableName: table.name))
            }
            found = nil
            let indexes = reply.Table.GlobalSecondaryIndexes ?? []
            let isReady =
                ["ACTIVE", "UPDATING"].contains(reply.Table.TableStatus)
                && indexes.allSatisfy { $0.IndexStatus ?? "ACTIVE" == "ACTIVE" }
            if isReady { return try compare(reply.Table) }
            do {
                try await Task.sleep(for: .milliseconds(500))
            } catch {
                throw .cancelled
            }
        }
        throw AWSError(code: "TableNotActive", status: 0, message: "the table is not active after two minutes")
    }

    private func compare(_ table: DescribeTableReply.Description) throws(AWSError) {
        let wanted = definition
        guard table.KeySchema == wanted.KeySchema else {
            throw AWSError(code: "WrongKey", status: 0, message: "the table's key is not jobId")
        }
        for index in wanted.GlobalSecondaryIndexes {
            let found = table.GlobalSecondaryIndexes?.first { $0.IndexName == index.IndexName }
            guard let found, Set(found.KeySchema ?? []) == Set(index.KeySchema) else {
                throw AWSError(
                    code: "MissingIndex", status: 0,
                    message: "the table has no index \(index.IndexName) as it is needed")
            }
        }
    }

    private var definition: CreateTableRequest {
        let attributes = [Attribute.jobID, Attribute.node, Attribute.status, Attribute.shard, Attribute.order]
        return CreateTableRequest(
            TableName: table.name, AttributeDefinitions: attributes.map { .init(AttributeName: $0) },
            KeySchema: [KeyElement(AttributeName: Attribute.jobID, KeyType: "HASH")],
            GlobalSecondaryIndexes: IndexKeys.Index.allCases.map { index in
                .init(
                    IndexName: index.rawValue,
                    KeySchema: [
                        KeyElement(AttributeName: index.partition, KeyType: "HASH"),
                        KeyElement(AttributeName: index.sort, KeyType: "RANGE"),
                    ])
            })
    }
}
