import FoundationEssentials
package import Storage

/// Why a call to a service failed.
package struct AWSError: Error, Sendable, Equatable {
    /// What the service calls it (`NoSuchKey`, `ThrottlingException`), or `Network` where there was no reply.
    package var code: String
    /// The status of the reply; 0 where there was none.
    package var status: Int
    /// For people; never decided upon.
    package var message: String
    /// The service's own advice when to come back, in milliseconds.
    package var retryAfter: UInt64?
    /// The region of the bucket that was asked for in another one.
    package var region: String?

    /// The caller's task was cancelled.
    static let cancelled = AWSError(code: "Cancelled", status: 0, message: "cancelled")

    /// An error with the given parts.
    package init(code: String, status: Int, message: String, retryAfter: UInt64? = nil) {
        self.code = code
        self.status = status
        self.message = message
        self.retryAfter = retryAfter
    }

    /// The error of a reply whose status is not a success.
    init(_ reply: HTTPReply) {
        status = reply.status
        retryAfter = reply.headers["retry-after"].flatMap { UInt64($0) }.map { min($0, 3600) * 1000 }
        if reply.headers["content-type"]?.contains("json") == true {
            let decoded = try? JSONDecoder().decode(JSONError.self, from: Data(reply.body))
            let type = decoded?.__type ?? ""
            code = String(type.split(separator: "#").last ?? "")
            message = decoded?.text ?? ""
        } else {
            let document = XMLElement(reply.body)
            let element = document?.name == "Error" ? document : document?.first("Error")
            code = element?.first("Code")?.text ?? ""
            message = element?.first("Message")?.text ?? ""
        }
        // A reply to HEAD has no body, and one of a proxy has its own.
        if code.isEmpty { code = reply.headers["x-amz-error-code"] ?? "HTTP\(status)" }
        if let bucketRegion = reply.headers["x-amz-bucket-region"], status == 301 || status == 400 {
            region = bucketRegion
            message += " (the bucket is in \(bucketRegion))"
        }
    }

    private struct JSONError: Decodable {
        var __type: String?
        var message: String?
        var Message: String?
        var text: String? { message ?? Message }
    }

    /// Whether the service asks to be called less.
    var isThrottling: Bool { Self.throttling.contains(code) || status == 429 }

    /// Whether the same call may succeed at once.
    var isTransient: Bool {
        code == "Network" || Self.transient.contains(code) || [500, 502, 503, 504].contains(status) || isThrottling
    }

    /// Whether the keys ended.
    var hasExpiredCredentials: Bool { Self.expired.contains(code) }

    /// Whether the time in the signature may be why.
    var mayBeClockSkew: Bool { Self.skewed.contains(code) }

    private static let throttling: Set<String> = [
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
        "TooManyRequestsException", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
        "BandwidthLimitExceeded", "LimitExceededException", "SlowDown", "PriorRequestNotComplete",
        "TransactionInProgressException", "EC2ThrottledException", "SlowDownRead", "SlowDownWrite",
    ]
    private static let transient: Set<String> = [
        "RequestTimeout", "RequestTimeoutException", "InternalError", "InternalServerError", "InternalFailure",
        "ServiceUnavailable", "OperationAborted", "XMinioServerNotInitialized",
    ]
    private static let expired: Set<String> = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]
    private static let skewed: Set<String> = [
        "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureException",
        "SignatureDoesNotMatch", "AuthFailure",
    ]
    private static let noRoom: Set<String> = [
        "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity",
        "ItemCollectionSizeLimitExceededException", "EntityTooLarge",
    ]
}

extension StorageError {
    /// The storage error of a failed call on `subject` (a bucket and key, a table), by its code.
    package init(_ error: AWSError, _ subject: String) {
        let detail = error.message.isEmpty ? "" : ": \(error.message)"
        let reason = "\(subject): \(error.code)\(detail)"
        switch error.code {
        case "Cancelled": self = .cancelled
        case "NoSuchKey": self = .notFound
        case "TooLong": self = .corrupt(place: subject)
        case _ where AWSError.meansNoRoom(error): self = .quota(reason: reason)
        default: self = .unavailable(reason: reason, retryAfter: error.retryAfter)
        }
    }
}

extension AWSError {
    fileprivate static func meansNoRoom(_ error: AWSError) -> Bool {
        noRoom.contains(error.code) || error.status == 507
    }
}
