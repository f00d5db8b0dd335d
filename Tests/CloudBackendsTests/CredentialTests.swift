import AWSSupport
import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

@testable import CloudBackends

@Suite struct CredentialTests {
    let http = HTTPClient()

    private func load(_ variables: [String: String], profile: String? = nil) async throws -> Credentials {
        var variables = variables
        variables["HOME"] = variables["HOME"] ?? "/nonexistent"
        variables["AWS_EC2_METADATA_DISABLED"] = variables["AWS_EC2_METADATA_DISABLED"] ?? "true"
        let environment = variables
        return try await CredentialSources(
            http: http, environment: { environment[$0] }, profile: profile, now: { 1000 }
        ).load()
    }

    @Test func `the environment`() async throws {
        let found = try await load([
            "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token",
        ])
        #expect(
            found == Credentials(accessKeyID: "id", secretAccessKey: Secret("key"), sessionToken: Secret("token")))
        await #expect(throws: CredentialsError.self) { try await load(["AWS_ACCESS_KEY_ID": "id"]) }
    }

    @Test func `nowhere`() async {
        await #expect(throws: CredentialsError.self) { try await load([:]) }
    }

    @Test func `the shared files, by profile`() async throws {
        let directory = try TemporaryDirectory()
        let credentials = "\(directory.path)/credentials"
        let configuration = "\(directory.path)/config"
        try """
        [default]
        aws_access_key_id = one
        aws_secret_access_key=s1
        # a comment
        [other]
          nested = no
        aws_access_key_id = two
        aws_secret_access_key = s2
        """.write(toFile: credentials, atomically: true, encoding: .utf8)
        try "[profile  third]\naws_access_key_id = three\naws_secret_access_key = s3\nregion = eu-west-1\n"
            .write(toFile: configuration, atomically: true, encoding: .utf8)
        let files = ["AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_CONFIG_FILE": configuration]
        #expect(try await load(files).accessKeyID == "one")
        #expect(try await load(files.merging(["AWS_PROFILE": "other"]) { $1 }).accessKeyID == "two")
        #expect(try await load(files, profile: "third").secretAccessKey == Secret("s3"))
        await #expect(throws: CredentialsError.self) { try await load(files, profile: "fourth") }
        // A profile that is asked for goes before the environment.
        let environment = files.merging(["AWS_ACCESS_KEY_ID": "e", "AWS_SECRET_ACCESS_KEY": "e"]) { $1 }
        #expect(try await load(environment, profile: "other").accessKeyID == "two")
        #expect(try await load(environment).accessKeyID == "e")
        let aws = AWSConfiguration.test(endpoint: nil) { aws in
            aws.region = nil
            aws.profile = "third"
            aws.environment = { files[$0] }
        }
        #expect(try await AWSService("s3", aws, http: http).region() == "eu-west-1")
    }

    @Test func `a web identity, with moto's token service`() async throws {
        let server = try MotoServer.shared.get()
        let directory = try TemporaryDirectory()
        let token = "\(directory.path)/token"
        try "header.payload.signature\n".write(toFile: token, atomically: true, encoding: .utf8)
        let found = try await load([
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/joblet", "AWS_WEB_IDENTITY_TOKEN_FILE": token,
            "AWS_ENDPOINT_URL_STS": server.endpoint,
        ])
        #expect(!found.accessKeyID.isEmpty && found.sessionToken != nil)
        #expect(found.expiration ?? 0 > AWSDate.now())
    }

    private static let keys =
        #"{"AccessKeyId":"id","SecretAccessKey":"key","Token":"token","Expiration":"2030-01-02T03:04:05Z"}"#
    private static let decoded = Credentials(
        accessKeyID: "id", secretAccessKey: Secret("key"), sessionToken: Secret("token"), expiration: 1_893_553_445)

    @Test func `a container's endpoint, with its token`() async throws {
        let directory = try TemporaryDirectory()
        let token = "\(directory.path)/token"
        try "secret-token".write(toFile: token, atomically: true, encoding: .utf8)
        try await FaultProxy.run { request in
            let isRight = request.headers["authorization"] == "secret-token"
            return .reply(HTTPReply(status: isRight ? 200 : 401, body: Array(Self.keys.utf8)))
        } _: { proxy in
            let found = try await load([
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "\(proxy.endpoint)/keys",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token,
            ])
            #expect(found == Self.decoded)
            #expect(proxy.requests.map(\.line) == ["GET /keys HTTP/1.1"])
        }
    }

    @Test(arguments: [
        "http://example.com/keys", "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/", "ftp://127.0.0.1/",
    ])
    func `a container's endpoint elsewhere is refused`(_ url: String) async {
        await #expect(throws: CredentialsError("\(url) is neither encrypted nor on this host")) {
            try await load(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url])
        }
    }

    @Test func `the instance's metadata, with a session`() async throws {
        try await FaultProxy.run { request in
            if request.line.hasPrefix("PUT /latest/api/token ") {
                return .reply(HTTPReply(status: 200, body: Array("session".utf8)))
            }
            guard request.headers["x-aws-ec2-metadata-token"] == "session" else {
                return .reply(HTTPReply(status: 401))
            }
            let replies = [
                "/latest/meta-data/iam/security-credentials/": "joblet\n",
                "/latest/meta-data/iam/security-credentials/joblet": Self.keys,
                "/latest/meta-data/placement/region": "ap-south-1",
            ]
            let body = replies[String(request.line.split(separator: " ")[1])]
            return .reply(HTTPReply(status: body == nil ? 404 : 200, body: Array((body ?? "").utf8)))
        } _: { proxy in
            let variables = [
                "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "\(proxy.endpoint)/",
            ]
            let found = try await load(variables)
            #expect(found == Self.decoded)
            let aws = AWSConfiguration.test(endpoint: nil) { aws in
                aws.region = nil
                aws.environment = { variables[$0] }
            }
            let region = try await AWSService("s3", aws, http: http).region()
            #expect(region == "ap-south-1")
        }
    }

    @Test func `keys are fetched anew before they end, once for all who wait`() async throws {
        let clock = Mutex<Int64>(0)
        let loads = Mutex(0)
        let cache = CredentialCache(now: { clock.withLock { $0 } }) { () async throws(CredentialsError) in
            let number = loads.withLock { loads in
                loads += 1
                return loads
            }
            if number == 3 { throw CredentialsError("down") }
            let end = clock.withLock { $0 } + 1000
            return Credentials(accessKeyID: "\(number)", secretAccessKey: Secret("k"), expiration: end)
        }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    do {
                        #expect(try await cache.credentials().accessKeyID == "1")
                    } catch {
                        Issue.record(error)
                    }
                }
            }
        }
        clock.withLock { $0 = 699 }
        #expect(try await cache.credentials().accessKeyID == "1")
        clock.withLock { $0 = 700 }
        #expect(try await cache.credentials().accessKeyID == "2")
        // The next fetch fails: the old keys serve as long as they last.
        clock.withLock { $0 = 1500 }
        #expect(try await cache.credentials().accessKeyID == "2")
        await cache.replace(try await cache.credentials())
        #expect(try await cache.credentials().accessKeyID == "5")
    }

    @Test func `keys that the service calls expired are replaced`() async throws {
        let body = Array("<Error><Code>ExpiredToken</Code></Error>".utf8)
        try await FaultProxy.run { request in
            if request.line.contains("keys") {
                let id = request.index == 0 ? "old" : "new"
                return .reply(
                    HTTPReply(status: 200, body: Array(Self.keys.replacing("\"id\"", with: "\"\(id)\"").utf8)))
            }
            let isNew = request.headers["authorization"]?.contains("Credential=new/") == true
            return .reply(HTTPReply(status: isNew ? 200 : 400, body: isNew ? [] : body))
        } _: { proxy in
            let aws = AWSConfiguration.test(endpoint: proxy.endpoint) { aws in
                aws.credentials = nil
                aws.environment = {
                    ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "\(proxy.endpoint)/keys", "HOME": "/nonexistent"][$0]
                }
            }
            _ = try await AWSService("s3", aws, http: http).call(AWSRequest("GET", "/"))
            #expect(proxy.requests.count == 4)
        }
    }

    /// moto checks signatures against its own reading of the address, in which a slash in a query is not encoded:
    /// so the store itself, whose lists ask for a prefix with slashes, is not run here.
    @Test func `requests are signed as a server that checks wants it`() async throws {
        let server = try MotoServer()
        let keys = try await server.requireSignatures(http)
        let right = server.configuration { $0.credentials = keys }
        let wrong = server.configuration {
            $0.credentials = Credentials(accessKeyID: keys.accessKeyID, secretAccessKey: Secret("wrong"))
        }
        let requests = [
            AWSRequest("PUT", "/signed"),
            AWSRequest(
                "PUT", "/signed/a/key-1", headers: [HTTPHeader("x-amz-server-side-encryption", "AES256")],
                body: [1, 2, 3]),
            AWSRequest("GET", "/signed/a/key-1", headers: [HTTPHeader("Range", "bytes=0-1")]),
            AWSRequest("GET", "/signed", query: [("prefix", "a"), ("max-keys", "2"), ("list-type", "2")]),
            AWSRequest("DELETE", "/signed/a/key-1"),
        ]
        let service = AWSService("s3", right, http: http)
        for request in requests { _ = try await service.call(request) }
        let impostor = AWSService("s3", wrong, http: http)
        for request in requests {
            do {
                _ = try await impostor.call(request)
                Issue.record("\(request.method) \(request.path) was not refused")
            } catch {
                #expect(error.code == "SignatureDoesNotMatch")
            }
        }
        let configuration = DynamoDBConfiguration(table: "jobs", aws: right, createsTable: true)
        let store = DynamoDBJobStore(configuration, http: http)
        try await store.check()
        let record = JobRecord(
            id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
            specification: JobSpecification(command: "/bin/true"), createdAt: 1)
        try await store.put([record])
        #expect(try await store.get(record.id) == record)
        let refused = DynamoDBJobStore(DynamoDBConfiguration(table: "jobs", aws: wrong), http: http)
        await #expect(throws: StorageError.self) { try await refused.get(record.id) }
    }
}
