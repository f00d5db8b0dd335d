import FoundationEssentials
import Storage

extension S3Bucket {
    /// Days after which S3 removes what a delete left in a bucket with versions, and uploads that were given up.
    private static let lifecycleDays = 7

    /// Sees to it that the bucket has the prefix's lifecycle rule; its other rules stay.
    ///
    /// Objects themselves have no such end: S3 counts from when an object was written, and so would take the beginning
    /// of a job that still runs.
    func setLifecycle() async throws(StorageError) {
        let found = try await lifecycleRules()
        let rule = lifecycleRule
        if found.rules.contains(where: { rule.leaves.isSubset(of: $0.leaves) }) { return }
        var document = XMLElement(name: "LifecycleConfiguration")
        document.children = found.rules.filter { $0.first("ID")?.text != lifecycleName } + [rule]
        let body = Array(document.encoded.utf8)
        var headers = [HTTPHeader("Content-Type", "application/xml"), Digest.contentHeader(body)]
        // Belongs to all rules and is set with them.
        if let size = found.smallestTransition { headers.append(HTTPHeader(Self.smallestTransition, size)) }
        do throws(AWSError) {
            _ = try await send(
                AWSRequest("PUT", "/", query: [("lifecycle", "")], headers: headers, body: body, operation: "LIFECYCLE")
            )
        } catch {
            throw storageError(error, "")
        }
    }

    private static let smallestTransition = "x-amz-transition-default-minimum-object-size"

    private func lifecycleRules() async throws(StorageError) -> (rules: [XMLElement], smallestTransition: String?) {
        let reply: HTTPReply
        do throws(AWSError) {
            reply = try await send(AWSRequest("GET", "/", query: [("lifecycle", "")], operation: "LIFECYCLE"))
        } catch {
            if error.code == "NoSuchLifecycleConfiguration" { return ([], nil) }
            throw storageError(error, "")
        }
        guard let document = XMLElement(reply.body), document.name == "LifecycleConfiguration" else {
            throw .unavailable(reason: "\(place("")): the lifecycle rules are not readable")
        }
        return (document.all("Rule"), reply.headers[Self.smallestTransition])
    }

    /// All nodes of a prefix share a rule.
    private var lifecyclePrefix: String { configuration.prefix.isEmpty ? root : configuration.prefix + "/" }
    private var lifecycleName: String { String("joblet: \(lifecyclePrefix)".prefix(255)) }

    private var lifecycleRule: XMLElement {
        let days = String(Self.lifecycleDays)
        return XMLElement(
            "Rule",
            [
                XMLElement("ID", lifecycleName), XMLElement("Filter", [XMLElement("Prefix", lifecyclePrefix)]),
                XMLElement("Status", "Enabled"),
                XMLElement("Expiration", [XMLElement("ExpiredObjectDeleteMarker", "true")]),
                XMLElement("NoncurrentVersionExpiration", [XMLElement("NoncurrentDays", days)]),
                XMLElement("AbortIncompleteMultipartUpload", [XMLElement("DaysAfterInitiation", days)]),
            ])
    }
}

extension XMLElement {
    fileprivate init(_ name: String, _ text: String) {
        self.init(name: name)
        self.text = text
    }

    fileprivate init(_ name: String, _ children: [XMLElement]) {
        self.init(name: name)
        self.children = children
    }

    /// The texts of all elements without children, each with its path.
    fileprivate var leaves: Set<String> {
        if children.isEmpty { return ["\(name)=\(text)"] }
        return Set(children.flatMap(\.leaves).map { "\(name)/\($0)" })
    }

    /// The element as XML; text beside children, which is white space, is left out.
    fileprivate var encoded: String {
        var content = children.map(\.encoded).joined()
        if children.isEmpty {
            for character in text {
                switch character {
                case "&": content += "&amp;"
                case "<": content += "&lt;"
                case ">": content += "&gt;"
                default: content.append(character)
                }
            }
        }
        return "<\(name)>\(content)</\(name)>"
    }
}

extension Digest {
    /// The field of a header by which a service that insists on it checks a body.
    fileprivate static func contentHeader(_ body: [UInt8]) -> HTTPHeader {
        // MD5 is what every service that speaks S3 takes; some libcryptos refuse it.
        if let md5 = md5(body) { return HTTPHeader("Content-MD5", Data(md5).base64EncodedString()) }
        return HTTPHeader("x-amz-checksum-sha256", Data(sha256(body)).base64EncodedString())
    }
}
