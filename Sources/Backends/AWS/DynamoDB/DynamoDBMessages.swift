/// A value of an attribute: text and numbers, which is all that job records use.
enum AttributeValue: Codable, Sendable, Hashable {
    case string(String)
    case number(String)
    /// Any other type: someone else's attribute.
    case other

    private enum CodingKeys: String, CodingKey {
        case S, N
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let text = try container.decodeIfPresent(String.self, forKey: .S) {
            self = .string(text)
        } else if let number = try container.decodeIfPresent(String.self, forKey: .N) {
            self = .number(number)
        } else {
            self = .other
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .string(let text): try container.encode(text, forKey: .S)
        case .number(let number): try container.encode(number, forKey: .N)
        case .other: break
        }
    }

    /// The text; nil for any other type.
    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number; nil for any other type, and for numbers that are none of ours.
    var unsigned: UInt64? {
        if case .number(let number) = self { UInt64(number) } else { nil }
    }

    static func number(_ value: some BinaryInteger) -> AttributeValue { .number(String(value)) }
}

/// An item or a key of the table: attributes by name.
typealias Item = [String: AttributeValue]

struct GetItemRequest: Encodable {
    var TableName: String
    var Key: Item
    var ConsistentRead = true
}

struct GetItemReply: Decodable {
    var Item: Item?
}

struct PutItemRequest: Encodable {
    var TableName: String
    var Item: Item
    var ConditionExpression: String
    var ReturnConsumedCapacity = "TOTAL"
}

struct UpdateItemRequest: Encodable {
    var TableName: String
    var Key: Item
    var UpdateExpression: String
    var ConditionExpression: String
    var ExpressionAttributeNames: [String: String]
    var ExpressionAttributeValues: Item
    var ReturnConsumedCapacity = "TOTAL"
}

struct DeleteItemRequest: Encodable {
    var TableName: String
    var Key: Item
    var ConditionExpression: String
    var ExpressionAttributeNames: [String: String]
    var ExpressionAttributeValues: Item
    var ReturnConsumedCapacity = "TOTAL"
}

struct WriteReply: Decodable {
    struct Capacity: Decodable {
        var CapacityUnits: Double?
    }
    var ConsumedCapacity: Capacity?
}

struct ScanRequest: Encodable {
    var TableName: String
    var ProjectionExpression: String
    var FilterExpression: String
    var ExpressionAttributeNames: [String: String]
    var ExpressionAttributeValues: Item
    var ExclusiveStartKey: Item?
}

struct QueryRequest: Encodable {
    var TableName: String
    var IndexName: String
    var KeyConditionExpression: String
    var ExpressionAttributeNames: [String: String]
    var ExpressionAttributeValues: Item
    var ExclusiveStartKey: Item?
    var Limit: Int
}

struct QueryReply: Decodable {
    var Items: [Item]
    var LastEvaluatedKey: Item?
}

struct BatchGetItemRequest: Encodable {
    struct Keys: Codable {
        var Keys: [Item]
        var ConsistentRead: Bool?
    }
    var RequestItems: [String: Keys]
}

struct BatchGetItemReply: Decodable {
    var Responses: [String: [Item]]?
    var UnprocessedKeys: [String: BatchGetItemRequest.Keys]?
}

struct TableName: Encodable {
    var TableName: String
}

/// What a reply of no interest holds.
struct NoReply: Decodable {}

struct DescribeTableReply: Decodable {
    struct Description: Decodable {
        var TableStatus: String
        var KeySchema: [KeyElement]?
        var GlobalSecondaryIndexes: [Index]?
    }
    struct Index: Decodable {
        var IndexName: String
        var IndexStatus: String?
        var KeySchema: [KeyElement]?
    }
    var Table: Description
}

struct KeyElement: Codable, Hashable {
    var AttributeName: String
    var KeyType: String
}

struct CreateTableRequest: Encodable {
    struct Attribute: Encodable {
        var AttributeName: String
        var AttributeType = "S"
    }
    struct Index: Encodable {
        var IndexName: String
        var KeySchema: [KeyElement]
        var Projection = ["ProjectionType": "KEYS_ONLY"]
    }
    var TableName: String
    var BillingMode = "PAY_PER_REQUEST"
    var AttributeDefinitions: [Attribute]
    var KeySchema: [KeyElement]
    var GlobalSecondaryIndexes: [Index]
}

struct DescribeTimeToLiveReply: Decodable {
    struct Description: Decodable {
        var TimeToLiveStatus: String?
        var AttributeName: String?
    }
    var TimeToLiveDescription: Description
}

struct UpdateTimeToLiveRequest: Encodable {
    struct Specification: Encodable {
        var AttributeName = Attribute.expiresAt
        var Enabled = true
    }
    var TableName: String
    var TimeToLiveSpecification = Specification()
}
