/// One field of a request's or reply's header.
package struct HTTPHeader: Sendable, Hashable {
    /// The name, in any case.
    package var name: String
    /// The value.
    package var value: String

    /// A field.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A request over HTTP/1.1.
package struct HTTPRequest: Sendable {
    /// The method, in capitals.
    package var method: String
    /// The whole address, encoded as it goes over the wire.
    package var url: String
    /// The fields of the header, without Host and Content-Length.
    package var headers: [HTTPHeader]
    /// The body; empty for none.
    package var body: [UInt8]
    /// The most bytes of a reply's body; a longer one fails.
    package var maxReplyBytes: Int
    /// How long connecting, a transfer without progress, and all of it may take.
    package var timeouts: HTTPTimeouts
    /// Whether the proxies of the environment are passed by: addresses of this host and its link.
    package var bypassesProxies: Bool

    /// A request with the given parts.
    package init(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8] = [],
        maxReplyBytes: Int = 16 << 20, timeouts: HTTPTimeouts = HTTPTimeouts(), bypassesProxies: Bool = false
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.maxReplyBytes = maxReplyBytes
        self.timeouts = timeouts
        self.bypassesProxies = bypassesProxies
    }
}

/// How long the parts of a transfer may take, in milliseconds.
package struct HTTPTimeouts: Sendable, Hashable {
    /// Name lookup, connection and TLS handshake.
    package var connect: Int
    /// Less than a byte a second; counted in whole seconds.
    package var stall: Int
    /// The whole transfer.
    package var total: Int

    /// Limits with the given values.
    package init(connect: Int = 5_000, stall: Int = 20_000, total: Int = 120_000) {
        self.connect = connect
        self.stall = stall
        self.total = total
    }
}

/// What a server replied.
package struct HTTPReply: Sendable {
    /// The status code.
    package var status: Int
    /// The fields of the header, names in lower case.
    package var headers: [String: String]
    /// The body.
    package var body: [UInt8]

    /// A reply with the given parts.
    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Why there is no reply.
package enum HTTPError: Error, Sendable, Equatable {
    /// The calling task was cancelled.
    case cancelled
    /// A time limit was reached.
    case timedOut(String)
    /// The server could not be reached, or the connection broke.
    case connection(String)
    /// The reply is longer than the request allows.
    case tooLong
    /// The request cannot be made: a bad address, an unreadable CA bundle.
    case invalid(String)
}
