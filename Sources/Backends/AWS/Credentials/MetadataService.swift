/// The instance's metadata service, version 2: a session token first, then what is asked for.
struct MetadataService: Sendable {
    let http: HTTPClient
    let environment: @Sendable (String) -> String?

    private var endpoint: String {
        let given = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? "http://169.254.169.254"
        return given.hasSuffix("/") ? String(given.dropLast()) : given
    }

    private var isDisabled: Bool { environment("AWS_EC2_METADATA_DISABLED")?.lowercased() == "true" }

    /// The credentials of the instance's role; nil where there is no such service.
    func credentials() async throws(CredentialsError) -> Credentials? {
        guard !isDisabled, let token = await token() else { return nil }
        let path = "/latest/meta-data/iam/security-credentials/"
        guard let list = await get(path, token), list.status == 200,
            let role = String(decoding: list.body, as: UTF8.self).split(separator: "\n").first
        else { throw CredentialsError("the instance has no role") }
        guard let reply = await get(path + role.trimmingSpace, token), reply.status == 200 else {
            throw CredentialsError("the metadata service does not answer for role \(role)")
        }
        return try TemporaryKeys.decode(reply.body, "the metadata service")
    }

    /// The region the instance runs in; nil where there is no such service.
    func region() async -> String? {
        guard !isDisabled, let token = await token(),
            let reply = await get("/latest/meta-data/placement/region", token), reply.status == 200
        else { return nil }
        let region = String(decoding: reply.body, as: UTF8.self).trimmingSpace
        return region.isEmpty ? nil : String(region)
    }

    private func token() async -> String? {
        let reply = await send(
            "PUT", "/latest/api/token", [HTTPHeader("X-aws-ec2-metadata-token-ttl-seconds", "21600")])
        guard let reply, reply.status == 200 else { return nil }
        return String(decoding: reply.body, as: UTF8.self)
    }

    private func get(_ path: String, _ token: String) async -> HTTPReply? {
        await send("GET", path, [HTTPHeader("X-aws-ec2-metadata-token", token)])
    }

    /// Away from a cloud nobody listens at the address: a short wait, and no reply is an answer.
    private func send(_ method: String, _ path: String, _ headers: [HTTPHeader]) async -> HTTPReply? {
        let request = HTTPRequest(
            method, endpoint + path, headers: headers, maxReplyBytes: 1 << 20,
            timeouts: HTTPTimeouts(connect: 1_000, stall: 2_000, total: 2_000), bypassesProxies: true)
        do throws(HTTPError) {
            return try await http.send(request)
        } catch {
            return nil
        }
    }
}
