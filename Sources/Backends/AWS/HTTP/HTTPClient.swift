import Synchronization

/// Sends HTTP requests over libcurl: one multi handle on one thread of its own, connections kept alive.
///
/// At most `connections` transfers run at a time, the others wait their turn without a time limit of their own.
package final class HTTPClient: Sendable {
    private let loop: TransferLoop

    /// A client; `caBundle` is a file of certificates that replaces the system's, by default the environment's, as
    /// are the proxies.
    package init(
        connections: Int = 16, caBundle: String? = AWSService.caBundle(CredentialSources.processEnvironment),
        proxies: Proxies = Proxies(CredentialSources.processEnvironment)
    ) {
        loop = TransferLoop(connections: connections, caBundle: caBundle, proxies: proxies)
        loop.start()
    }

    deinit {
        loop.stop()
    }

    /// Sends a request and returns the reply, whatever its status.
    package func send(_ request: HTTPRequest) async throws(HTTPError) -> HTTPReply {
        let transfer = Transfer(request)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.begin(continuation)
                if Task.isCancelled {
                    transfer.end(.failure(.cancelled))
                } else {
                    loop.add(transfer)
                }
            }
        } onCancel: {
            loop.cancel(transfer)
        }
        return try result.get()
    }
}

/// One request on its way.
///
/// The buffers belong to the thread of the loop from `add` on; only the outcome is shared.
final class Transfer: @unchecked Sendable {
    // Safe to share: everything but `outcome` is touched by the loop's thread only once the transfer was added.
    let request: HTTPRequest
    var replyBody: [UInt8] = []
    var replyHeaders: [String: String] = [:]
    /// Whether the empty line came that ends the header.
    var isHeaderWhole = false
    var isTooLong = false

    private let outcome = Mutex(Outcome())

    private struct Outcome {
        var continuation: CheckedContinuation<Result<HTTPReply, HTTPError>, Never>?
        var isCancelled = false
    }

    init(_ request: HTTPRequest) {
        self.request = request
    }

    func begin(_ continuation: CheckedContinuation<Result<HTTPReply, HTTPError>, Never>) {
        outcome.withLock { $0.continuation = continuation }
    }

    /// Resumes the caller, the first time.
    func end(_ result: Result<HTTPReply, HTTPError>) {
        let continuation = outcome.withLock { outcome in
            defer { outcome.continuation = nil }
            return outcome.continuation
        }
        continuation?.resume(returning: result)
    }

    /// Whether the caller has gone.
    var isCancelled: Bool { outcome.withLock { $0.isCancelled } }

    func markCancelled() {
        outcome.withLock { $0.isCancelled = true }
        end(.failure(.cancelled))
    }

    /// Takes a part of the body; false where it is longer than allowed.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard replyBody.count + bytes.count <= request.maxReplyBytes else {
            isTooLong = true
            return false
        }
        replyBody.append(contentsOf: bytes)
        return true
    }

    /// Takes a line of the header; a status line begins a new one, as after `100 Continue`.
    func receiveHeader(_ line: String) {
        if line.hasPrefix("HTTP/") {
            replyHeaders = [:]
            replyBody = []
            isHeaderWhole = false
            return
        }
        if line.allSatisfy(\.isNewline) { isHeaderWhole = true }
        guard let colon = line.firstIndex(of: ":") else { return }
        let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        let end = value.lastIndex { !$0.isWhitespace }
        replyHeaders[line[..<colon].lowercased()] = end.map { String(value[...$0]) } ?? ""
    }
}
