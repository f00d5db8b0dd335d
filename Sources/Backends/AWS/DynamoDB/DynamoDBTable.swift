import FoundationEssentials
import Storage

/// One table of DynamoDB: calls with their messages as JSON.
struct DynamoDBTable: Sendable {
    let name: String
    let service: AWSService

    /// Keys that one BatchGetItem takes.
    static let batchKeys = 100
    /// A condition did not hold.
    static let conditionFailed = "ConditionalCheckFailedException"

    func call<Reply: Decodable>(
        _ operation: String, _ message: some Encodable, as type: Reply.Type = Reply.self
    ) async throws(AWSError) -> Reply {
        let body: Data
        do {
            body = try JSONEncoder().encode(message)
        } catch {
            throw AWSError(code: "SerializationException", status: 0, message: "\(operation) cannot be encoded")
        }
        let request = AWSRequest(
            "POST", "/",
            headers: [
                HTTPHeader("Content-Type", "application/x-amz-json-1.0"),
                HTTPHeader("X-Amz-Target", "DynamoDB_20120810.\(operation)"),
            ],
            // A reply holds at most 16 MB of items; JSON escapes make more of them.
            body: Array(body), maxReplyBytes: 128 << 20, operation: operation)
        let reply = try await service.call(request)
        do {
            return try JSONDecoder().decode(Reply.self, from: Data(reply.body))
        } catch {
            throw AWSError(code: "InvalidReply", status: reply.status, message: "\(operation) answered with no reply")
        }
    }

    /// Calls an operation that writes, and counts what it says that it cost.
    func write(_ operation: String, _ message: some Encodable) async throws(AWSError) {
        let reply = try await call(operation, message, as: WriteReply.self)
        service.count(writeUnits: reply.ConsumedCapacity?.CapacityUnits ?? 0)
    }

    /// The item of a key, strongly consistent.
    func item(_ key: String) async throws(AWSError) -> Item? {
        let request = GetItemRequest(TableName: name, Key: ["jobId": .string(key)])
        return try await call("GetItem", request, as: GetItemReply.self).Item
    }

    /// The items of keys that are there, strongly consistent, in no order.
    ///
    /// What the service leaves unprocessed is asked for again, after a pause that grows.
    func items(_ keys: [String]) async throws(AWSError) -> [Item] {
        var items: [Item] = []
        var rest = keys.map { ["jobId": AttributeValue.string($0)] }
        var fruitless = 0
        while !rest.isEmpty {
            let batch = BatchGetItemRequest.Keys(Keys: Array(rest.prefix(Self.batchKeys)), ConsistentRead: true)
            let reply: BatchGetItemReply = try await call(
                "BatchGetItem", BatchGetItemRequest(RequestItems: [name: batch]))
            items += reply.Responses?[name] ?? []
            let unprocessed = reply.UnprocessedKeys?[name]?.Keys ?? []
            rest = Array(rest.dropFirst(batch.Keys.count)) + unprocessed
            fruitless = unprocessed.count == batch.Keys.count ? fruitless + 1 : 0
            if !unprocessed.isEmpty { try await service.pauseForUnprocessed(fruitless: fruitless) }
        }
        return items
    }
}
