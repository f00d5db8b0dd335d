import Storage

/// The objects of one bucket in one folder of a node.
struct S3Bucket: Sendable {
    /// An object as a listing shows it.
    struct Entry: Sendable {
        /// The key behind the folder.
        var key: String
        var size: Int
        /// When it was written, in seconds since 1970.
        var modified: Int64
    }

    let configuration: S3Configuration
    let service: AWSService
    let root: String

    /// What an upload costs at most in memory beyond its body is nothing; a reply is never larger than this.
    static let largestReply = 256 << 20

    /// The objects in `folder`, below the node's prefix.
    init(_ configuration: S3Configuration, folder: String, http: HTTPClient) {
        self.configuration = configuration
        service = AWSService("s3", configuration.aws, http: http)
        let node = AWSRequest.encode(configuration.node)
        root = (configuration.prefix.isEmpty ? "" : "\(configuration.prefix)/") + "\(node)/\(folder)/"
    }

    /// An object and its place, for errors.
    func place(_ key: String) -> String { "s3://\(configuration.bucket)/\(root)\(key)" }

    func put(_ key: String, _ body: [UInt8]) async throws(StorageError) {
        var headers = [HTTPHeader("Content-Type", "application/octet-stream")]
        switch configuration.encryption {
        case .bucketDefault: break
        case .s3: headers.append(HTTPHeader("x-amz-server-side-encryption", "AES256"))
        case .kms(let key):
            headers.append(HTTPHeader("x-amz-server-side-encryption", "aws:kms"))
            if let key { headers.append(HTTPHeader("x-amz-server-side-encryption-aws-kms-key-id", key)) }
        }
        _ = try await call(AWSRequest("PUT", "/\(root)\(key)", headers: headers, body: body), key)
    }

    /// The bytes of a range; fewer where the object ends before. Throws `notFound` where there is no object.
    func get(_ key: String, _ range: Range<UInt64>) async throws(StorageError) -> [UInt8] {
        let field = HTTPHeader("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")
        return try await call(
            AWSRequest(
                "GET", "/\(root)\(key)", headers: [field], maxReplyBytes: Self.largestReply,
                expectedReplyBytes: range.count), key
        ).body
    }

    /// The last `count` bytes of an object, or all of them.
    func get(_ key: String, last count: Int) async throws(StorageError) -> [UInt8] {
        let field = HTTPHeader("Range", "bytes=-\(count)")
        return try await call(
            AWSRequest("GET", "/\(root)\(key)", headers: [field], maxReplyBytes: Self.largestReply), key
        ).body
    }

    /// Removes an object; nothing where there is none.
    func delete(_ key: String) async throws(StorageError) {
        do throws(StorageError) {
            _ = try await call(AWSRequest("DELETE", "/\(root)\(key)"), key)
        } catch {
            guard error == .notFound else { throw error }
        }
    }

    /// All objects of the folder, in order of their keys.
    func list() async throws(StorageError) -> [Entry] {
        var entries: [Entry] = []
        var token: String?
        repeat {
            var query = [("list-type", "2"), ("prefix", root)]
            if let token { query.append(("continuation-token", token)) }
            let reply = try await call(
                AWSRequest("GET", "/", query: query.map { (name: $0.0, value: $0.1) }, operation: "LIST"), "")
            guard let document = XMLElement(reply.body), document.name == "ListBucketResult" else {
                throw .unavailable(reason: "\(place("")): the list is not readable")
            }
            for element in document.all("Contents") {
                guard let key = element.first("Key")?.text, key.hasPrefix(root),
                    let size = element.first("Size").flatMap({ Int($0.text) }),
                    let modified = element.first("LastModified").flatMap({ AWSDate.parse(iso: $0.text) })
                else { continue }
                entries.append(Entry(key: String(key.dropFirst(root.count)), size: size, modified: modified))
            }
            let isCut = document.all("IsTruncated").first?.text == "true"
            token = isCut ? document.all("NextContinuationToken").first?.text : nil
        } while token != nil
        return entries
    }

    /// Throws why the bucket does not answer; asked again and again, it takes the cheapest call there is.
    func reach() async throws(StorageError) {
        do throws(AWSError) {
            _ = try await send(AWSRequest("HEAD", "/", operation: "HEAD"))
        } catch {
            throw storageError(error, "")
        }
    }

    /// Finds the bucket, made first where that is asked for, and throws why it cannot be used.
    func check() async throws(StorageError) {
        let probe = AWSRequest(
            "GET", "/", query: [("list-type", "2"), ("max-keys", "1"), ("prefix", root)], operation: "LIST")
        do throws(AWSError) {
            _ = try await send(probe)
        } catch {
            guard error.code == "NoSuchBucket", configuration.createsBucket else { throw storageError(error, "") }
            try await create()
        }
        if configuration.setsLifecycle { try await setLifecycle() }
    }

    private func create() async throws(StorageError) {
        do throws(AWSError) {
            let region = try await service.region()
            let constraint =
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + "<LocationConstraint>\(region)</LocationConstraint></CreateBucketConfiguration>"
            let body = region == "us-east-1" ? [] : Array(constraint.utf8)
            _ = try await send(AWSRequest("PUT", "/", body: body))
        } catch {
            guard error.code == "BucketAlreadyOwnedByYou" else { throw storageError(error, "") }
        }
    }

    private func call(_ request: AWSRequest, _ key: String) async throws(StorageError) -> HTTPReply {
        do throws(AWSError) {
            return try await send(request)
        } catch {
            throw storageError(error, key)
        }
    }

    func send(_ request: AWSRequest) async throws(AWSError) -> HTTPReply {
        guard configuration.usesPathStyle else {
            return try await service.call(request, hostPrefix: configuration.bucket)
        }
        var request = request
        request.path = "/\(configuration.bucket)" + request.path
        return try await service.call(request)
    }

    func storageError(_ error: AWSError, _ key: String) -> StorageError {
        if error.code == "NoSuchBucket" {
            return .unavailable(
                reason: "S3 bucket \(configuration.bucket) does not exist; make it, or set createBucket")
        }
        return StorageError(error, place(key))
    }
}
