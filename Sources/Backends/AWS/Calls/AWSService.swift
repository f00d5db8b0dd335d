import Synchronization

/// How a service is reached.
package struct AWSConfiguration: Sendable {
    /// The region; nil to look for it in the environment, the shared files and the instance's metadata.
    package var region: String?
    /// `https://host:port` of a service that speaks the same protocol; nil for AWS itself.
    package var endpoint: String?
    /// The profile of the shared files; nil for the environment's.
    package var profile: String?
    /// The credentials, where they are not to be looked for.
    package var credentials: Credentials?
    /// How failed calls are made again.
    package var retry = RetryPolicy()
    /// How long calls may take.
    package var timeouts = HTTPTimeouts()
    /// Reads the environment.
    package var environment: @Sendable (String) -> String? = CredentialSources.processEnvironment

    /// The defaults, with the given endpoint.
    package init(region: String? = nil, endpoint: String? = nil) {
        self.region = region
        self.endpoint = endpoint
    }
}

/// Calls one AWS service: finds region and credentials, signs, sends, and tries again what may pass.
package final class AWSService: Sendable {
    /// What was sent, for whoever counts the costs.
    package struct Counts: Sendable, Hashable {
        /// Requests by operation (`PUT`, `GET`, `LIST`, `DELETE`; `UpdateItem` …), each attempt counted.
        package var requests: [String: Int] = [:]
        /// Write units of DynamoDB, indexes included, as the service said.
        package var writeUnits: Double = 0
    }

    /// The slowest link on which bodies arrive, however long: 16 KB a second.
    private static let slowestBytesPerMillisecond = 16

    private let name: String
    private let configuration: AWSConfiguration
    private let http: HTTPClient
    private let credentials: CredentialCache
    private let budget: RetryBudget
    private let state: Mutex<State>

    private struct State {
        var region: String?
        /// Whether the region is only where a bucket is asked for first, to hear where it is.
        var isRegionGuessed = false
        /// Seconds that the service's clock is ahead of ours.
        var skew: Int64 = 0
        var counts = Counts()
    }

    /// A client of the service called `name` in host names and signatures.
    package init(_ name: String, _ configuration: AWSConfiguration, http: HTTPClient) {
        self.name = name
        self.configuration = configuration
        self.http = http
        budget = RetryBudget(configuration.retry)
        state = Mutex(State(region: configuration.region))
        let sources = CredentialSources(
            http: http, environment: configuration.environment, profile: configuration.profile,
            now: { AWSDate.now() })
        let given = configuration.credentials
        credentials = CredentialCache { () async throws(CredentialsError) -> Credentials in
            if let given { return given }
            return try await sources.load()
        }
    }

    /// What was sent so far.
    package var counts: Counts { state.withLock { $0.counts } }

    /// Counts write units.
    func count(writeUnits: Double) {
        state.withLock { $0.counts.writeUnits += writeUnits }
    }

    /// The certificates that the environment names in place of the system's.
    package static func caBundle(_ environment: (String) -> String?) -> String? {
        environment("AWS_CA_BUNDLE") ?? environment("SSL_CERT_FILE")
    }

    /// Sends a request and returns the reply, if its status is a success.
    ///
    /// `hostPrefix` goes before the service's host, as the name of a bucket does.
    package func call(_ request: AWSRequest, hostPrefix: String? = nil) async throws(AWSError) -> HTTPReply {
        var failures = 0
        var hasCorrected = false
        var hasRefreshed = false
        var hasMoved = false
        while true {
            let (failure, used) = try await attempt(request, hostPrefix: hostPrefix, failures: failures)
            switch failure {
            case .success(let reply):
                budget.noteSuccess(retried: failures > 0)
                return reply
            case .failure(let error):
                failures += 1
                // These are answers to how we asked, not to what: once more at once, with the right time, region or keys.
                if error.mayBeClockSkew, !hasCorrected, correctClock(by: used.date, signedAt: used.time) {
                    hasCorrected = true
                    continue
                }
                if let region = error.region, !hasMoved, move(to: region) {
                    hasMoved = true
                    continue
                }
                if error.hasExpiredCredentials, !hasRefreshed, let keys = used.credentials {
                    await credentials.replace(keys)
                    hasRefreshed = true
                    continue
                }
                guard error.isTransient, failures < configuration.retry.attempts, budget.takeRetry() else {
                    throw error
                }
                try await pause(after: failures, error)
            }
        }
    }

    private struct Used {
        var credentials: Credentials?
        var date: String?
        var time: Int64
    }

    private func attempt(
        _ request: AWSRequest, hostPrefix: String?, failures: Int
    ) async throws(AWSError) -> (Result<HTTPReply, AWSError>, Used) {
        let region = try await signingRegion()
        let (skew, now) = (state.withLock { $0.skew }, AWSDate.now())
        let keys: Credentials
        do throws(CredentialsError) {
            keys = try await credentials.credentials()
        } catch {
            if Task.isCancelled { throw .cancelled }
            throw AWSError(code: "NoCredentials", status: 0, message: error.description)
        }
        let (scheme, host, path) = address(region, hostPrefix)
        var request = request
        request.path = path + request.path
        let headers = Signer(region: region, service: name)
            .headers(for: request, host: host, credentials: keys, at: now + skew)
        let query = request.query.isEmpty ? "" : "?\(request.encodedQuery)"
        state.withLock { $0.counts.requests[request.operation, default: 0] += 1 }
        var timeouts = configuration.timeouts
        timeouts.total += (request.body.count + request.expectedReplyBytes) / Self.slowestBytesPerMillisecond
        var used = Used(credentials: keys, time: now + skew)
        do throws(HTTPError) {
            let reply = try await http.send(
                HTTPRequest(
                    request.method, "\(scheme)://\(host)\(request.encodedPath)\(query)", headers: headers,
                    body: request.body, maxReplyBytes: request.maxReplyBytes, timeouts: timeouts))
            used.date = reply.headers["date"]
            if (200..<300).contains(reply.status) { return (.success(reply), used) }
            return (.failure(AWSError(reply)), used)
        } catch {
            switch error {
            case .cancelled: throw .cancelled
            case .tooLong: throw AWSError(code: "TooLong", status: 0, message: "the reply is too long")
            case .invalid(let text): throw AWSError(code: "InvalidRequest", status: 0, message: text)
            case .connection(let text), .timedOut(let text):
                return (.failure(AWSError(code: "Network", status: 0, message: text)), used)
            }
        }
    }

    private func address(_ region: String, _ prefix: String?) -> (scheme: String, host: String, path: String) {
        let label = prefix.map { "\($0)." } ?? ""
        guard let endpoint = configuration.endpoint else {
            let domain = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
            return ("https", "\(label)\(name).\(region).\(domain)", "")
        }
        let parts = endpoint.split(separator: "://", maxSplits: 1)
        let rest = parts.count == 2 ? parts[1] : parts.first ?? ""
        let host = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(host.count)
        let scheme = parts.count == 2 ? String(parts[0]) : "https"
        // What is signed is what libcurl sends, which leaves out the scheme's own port.
        let port = scheme == "https" ? ":443" : ":80"
        return (
            scheme, label + (host.hasSuffix(port) ? host.dropLast(port.count) : host),
            path.hasSuffix("/") ? String(path.dropLast()) : String(path)
        )
    }

    /// The region of the next request: of a bucket any will do, since the reply says where it is.
    private func signingRegion() async throws(AWSError) -> String {
        if let region = state.withLock({ $0.region }) { return region }
        do throws(AWSError) {
            return try await region()
        } catch {
            guard name == "s3", error.code == "NoRegion" else { throw error }
            return state.withLock { state in
                (state.region, state.isRegionGuessed) = ("us-east-1", true)
                return "us-east-1"
            }
        }
    }

    /// The region: as configured, from the environment, the shared files, the instance's metadata.
    package func region() async throws(AWSError) -> String {
        if let region = state.withLock({ $0.isRegionGuessed ? nil : $0.region }) { return region }
        let environment = configuration.environment
        let files = SharedFiles(environment: environment, profile: configuration.profile)
        var found = environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION") ?? files.settings["region"]
        if found == nil { found = await MetadataService(http: http, environment: environment).region() }
        guard let found else {
            throw AWSError(
                code: "NoRegion", status: 0,
                message: "no AWS region: not configured, not in the environment, the shared files or the metadata")
        }
        state.withLock { $0.region = found }
        return found
    }

    /// Takes over the region that a bucket is in, unless another one is configured; whether it did.
    private func move(to region: String) -> Bool {
        guard configuration.region == nil else { return false }
        return state.withLock { state in
            defer { (state.region, state.isRegionGuessed) = (region, false) }
            return state.region != region
        }
    }

    /// Takes over the service's clock where ours differs by minutes; whether it did.
    private func correctClock(by date: String?, signedAt time: Int64) -> Bool {
        guard let date, let theirs = AWSDate.parse(http: date), abs(theirs - time) > 240 else { return false }
        state.withLock { $0.skew = theirs - AWSDate.now() }
        return true
    }

    /// Waits before what a service left undone of a call is asked for again.
    ///
    /// Throws once nothing at all was done for as many calls in a row as a call has attempts.
    func pauseForUnprocessed(fruitless: Int) async throws(AWSError) {
        let error = AWSError(code: "ThrottlingException", status: 0, message: "nothing was processed")
        guard fruitless < configuration.retry.attempts else { throw error }
        try await pause(after: fruitless + 1, error)
    }

    private func pause(after failures: Int, _ error: AWSError) async throws(AWSError) {
        let longest = configuration.retry.pause(after: failures, throttled: error.isThrottling)
        let advice = Int(min(error.retryAfter ?? 0, UInt64(configuration.retry.cap)))
        let milliseconds = max(advice, Int.random(in: 0...max(0, longest)))
        do {
            try await Task.sleep(for: .milliseconds(milliseconds))
        } catch {
            throw .cancelled
        }
    }
}
