/// A request to an AWS service before it is signed.
package struct AWSRequest: Sendable {
    /// The method, in capitals.
    package var method: String
    /// The path, not encoded, from its slash on.
    package var path: String
    /// The parameters of the query, not encoded.
    package var query: [(name: String, value: String)]
    /// The fields of the header, without Host.
    package var headers: [HTTPHeader]
    /// The body.
    package var body: [UInt8]
    /// The most bytes of a reply.
    package var maxReplyBytes: Int
    /// About how long the reply's body will be, where that is known: so much time it may take.
    package var expectedReplyBytes: Int
    /// What the call is counted as.
    package var operation: String

    /// A request with the given parts; without another name it is counted as its method.
    package init(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [], headers: [HTTPHeader] = [],
        body: [UInt8] = [], maxReplyBytes: Int = 16 << 20, expectedReplyBytes: Int = 0,
        operation: String? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.maxReplyBytes = maxReplyBytes
        self.expectedReplyBytes = expectedReplyBytes
        self.operation = operation ?? method
    }

    /// The path as it goes over the wire.
    package var encodedPath: String { Self.encode(path, keepingSlashes: true) }

    /// The query as it goes over the wire and is signed: sorted, without its question mark.
    package var encodedQuery: String {
        let pairs = query.map { (Self.encode($0.name), Self.encode($0.value)) }
        return pairs.sorted { $0 < $1 }.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    package static func encode(_ text: String, keepingSlashes: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.append(byte)
            case UInt8(ascii: "/") where keepingSlashes:
                result.append(byte)
            default:
                result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
