import Storage
import Synchronization

extension DynamoDBJobStore {
    /// Nanoseconds between two searches for tombstones that ended.
    private static let pruneInterval: Int64 = 86_400 * 1_000_000_000

    /// Removes tombstones that ended, once a day where the table's time to live does not.
    func pruneTombstonesIfDue() {
        guard configuration.timeToLive == nil else { return }
        let time = now()
        let isDue = lastPrune.withLock { last in
            guard last.map({ time - $0 >= Self.pruneInterval }) ?? true else { return false }
            last = time
            return true
        }
        guard isDue else { return }
        // The delete that brought us here does not wait; what fails is tried again the next day.
        Task { try? await pruneTombstones() }
    }

    /// Removes the tombstones that ended. They are in no index, so this reads the whole table.
    func pruneTombstones() async throws(StorageError) {
        let condition =
            "attribute_exists(#deleted) AND attribute_not_exists(#record) AND #expiresAt < :now"
        let names = Attribute.names([Attribute.deleted, Attribute.record, Attribute.expiresAt])
        let values = [":now": AttributeValue.number(now() / 1_000_000_000)]
        var start: Item?
        repeat {
            let scan = ScanRequest(
                TableName: table.name, ProjectionExpression: Attribute.jobID, FilterExpression: condition,
                ExpressionAttributeNames: names, ExpressionAttributeValues: values, ExclusiveStartKey: start)
            let reply = try await storage { () async throws(AWSError) in
                try await table.call("Scan", scan, as: QueryReply.self)
            }
            for item in reply.Items {
                let delete = DeleteItemRequest(
                    TableName: table.name, Key: item, ConditionExpression: condition, ExpressionAttributeNames: names,
                    ExpressionAttributeValues: values)
                do throws(AWSError) {
                    try await table.write("DeleteItem", delete)
                } catch {
                    // A record or a later tombstone came meanwhile.
                    guard error.code == DynamoDBTable.conditionFailed else { throw storageError(error) }
                }
            }
            start = reply.LastEvaluatedKey
        } while start != nil
    }
}
