import FoundationEssentials
import Glibc

/// Where credentials and the region are looked for, in order: environment, shared files, web identity, the
/// container's endpoint, the instance's metadata service.
///
/// A source that is not set up is passed over; one that is and fails ends the search with its error, so that a
/// program never runs with other rights than were meant for it.
struct CredentialSources: Sendable {
    let http: HTTPClient
    let environment: @Sendable (String) -> String?
    let profile: String?
    let now: @Sendable () -> Int64

    /// The process's environment; variables that are set to nothing count as not set.
    static let processEnvironment: @Sendable (String) -> String? = { name in
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// The first credentials that are found.
    func load() async throws(CredentialsError) -> Credentials {
        // A profile that is asked for by name goes before the environment.
        if profile == nil, let found = try fromEnvironment() { return found }
        let files = SharedFiles(environment: environment, profile: profile)
        if let found = try files.credentials() { return found }
        if let found = try await fromWebIdentity(files) { return found }
        if profile != nil { throw CredentialsError("profile \(files.profile) has no keys") }
        if let found = try await fromContainer() { return found }
        if let found = try await MetadataService(http: http, environment: environment).credentials() { return found }
        throw CredentialsError(
            "no AWS credentials: not in the environment, in \(files.credentialsPath), from a web identity, "
                + "a container endpoint or the instance's metadata")
    }

    private func fromEnvironment() throws(CredentialsError) -> Credentials? {
        guard let id = environment("AWS_ACCESS_KEY_ID") else { return nil }
        guard let secret = environment("AWS_SECRET_ACCESS_KEY") else {
            throw CredentialsError("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not")
        }
        return Credentials(
            accessKeyID: id, secretAccessKey: Secret(secret),
            sessionToken: environment("AWS_SESSION_TOKEN").map { Secret($0) })
    }

    // MARK: Web identity

    private func fromWebIdentity(_ files: SharedFiles) async throws(CredentialsError) -> Credentials? {
        let settings = files.settings
        guard let role = environment("AWS_ROLE_ARN") ?? settings["role_arn"],
            let tokenFile = environment("AWS_WEB_IDENTITY_TOKEN_FILE") ?? settings["web_identity_token_file"]
        else { return nil }
        // The file is read anew each time: whoever writes it replaces it before it ends.
        guard let token = SharedFiles.text(at: tokenFile) else {
            throw CredentialsError("the web identity token \(tokenFile) cannot be read")
        }
        let session = environment("AWS_ROLE_SESSION_NAME") ?? settings["role_session_name"] ?? "joblet-\(now())"
        let region = environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION") ?? settings["region"]
        let host = region.map { "https://sts.\($0).amazonaws.com" } ?? "https://sts.amazonaws.com"
        let endpoint = environment("AWS_ENDPOINT_URL_STS") ?? environment("AWS_ENDPOINT_URL") ?? host
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", role),
            ("RoleSessionName", session), ("WebIdentityToken", String(token.trimmingSpace)),
        ]
        let body = form.map { "\($0.0)=\(AWSRequest.encode($0.1))" }.joined(separator: "&")
        let reply = try await send(
            HTTPRequest(
                "POST", endpoint + "/",
                headers: [HTTPHeader("Content-Type", "application/x-www-form-urlencoded")], body: Array(body.utf8),
                maxReplyBytes: 1 << 20), "the token service")
        let document = XMLElement(reply.body)
        guard reply.status == 200, let keys = document?.first("Credentials") else {
            let code = document?.first("Code")?.text ?? "status \(reply.status)"
            throw CredentialsError("the role \(role) cannot be assumed: \(code)")
        }
        guard let id = keys.first("AccessKeyId")?.text, let secret = keys.first("SecretAccessKey")?.text,
            let sessionToken = keys.first("SessionToken")?.text,
            let end = keys.first("Expiration").flatMap({ AWSDate.parse(iso: $0.text) })
        else { throw CredentialsError("the token service's reply is incomplete") }
        return Credentials(
            accessKeyID: id, secretAccessKey: Secret(secret), sessionToken: Secret(sessionToken), expiration: end)
    }

    // MARK: Container endpoint

    private func fromContainer() async throws(CredentialsError) -> Credentials? {
        let url: String
        if let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            url = "http://169.254.170.2" + relative
        } else if let full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            guard full.hasPrefix("https://") || Self.isLocal(full) else {
                throw CredentialsError("\(full) is neither encrypted nor on this host")
            }
            url = full
        } else {
            return nil
        }
        var headers: [HTTPHeader] = []
        if let file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            guard let token = SharedFiles.text(at: file) else {
                throw CredentialsError("the container's token \(file) cannot be read")
            }
            headers = [HTTPHeader("Authorization", String(token.trimmingSpace))]
        } else if let token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            headers = [HTTPHeader("Authorization", token)]
        }
        let reply = try await send(
            HTTPRequest(
                "GET", url, headers: headers, maxReplyBytes: 1 << 20,
                timeouts: HTTPTimeouts(connect: 2_000, stall: 5_000, total: 5_000), bypassesProxies: true),
            "the container's credentials endpoint")
        guard reply.status == 200 else {
            throw CredentialsError("the container's credentials endpoint answered \(reply.status)")
        }
        return try TemporaryKeys.decode(reply.body, "the container's credentials endpoint")
    }

    /// Whether a plain address is this host's, or one of those the container services use.
    private static func isLocal(_ url: String) -> Bool {
        guard url.hasPrefix("http://") else { return false }
        let authority = url.dropFirst("http://".count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else { return false }
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let isLoopback = parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        return isLoopback || ["localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"].contains(host)
    }

    private func send(_ request: HTTPRequest, _ name: String) async throws(CredentialsError) -> HTTPReply {
        do throws(HTTPError) {
            return try await http.send(request)
        } catch {
            throw CredentialsError("\(name) cannot be reached: \(error)")
        }
    }
}

/// Keys as the container's endpoint and the metadata service spell them.
struct TemporaryKeys: Decodable {
    var AccessKeyId: String
    var SecretAccessKey: String
    var Token: String
    var Expiration: String

    /// The credentials in a reply.
    static func decode(_ body: [UInt8], _ name: String) throws(CredentialsError) -> Credentials {
        do {
            let keys = try JSONDecoder().decode(TemporaryKeys.self, from: Data(body))
            guard let end = AWSDate.parse(iso: keys.Expiration) else {
                throw CredentialsError("\(name) says no end: \(keys.Expiration)")
            }
            return Credentials(
                accessKeyID: keys.AccessKeyId, secretAccessKey: Secret(keys.SecretAccessKey),
                sessionToken: Secret(keys.Token), expiration: end)
        } catch {
            throw error as? CredentialsError ?? CredentialsError("\(name) answered with no keys")
        }
    }
}

extension StringProtocol {
    /// The text without white space at its ends.
    var trimmingSpace: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[startIndex..<startIndex] }
        return self[first...last]
    }
}
