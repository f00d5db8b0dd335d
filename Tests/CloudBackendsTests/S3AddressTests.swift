import AWSSupport
import Foundation
import Storage
import StorageConformance
import Testing

@testable import CloudBackends

/// By which host, path and region a bucket is asked for.
@Suite struct S3AddressTests {
    @Test func `a bucket in the host's name`() async throws {
        let server = try MotoServer.shared.get()
        let bucket = "logs-\(UUID().uuidString.lowercased())"
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            // Every name below localhost is the loopback interface.
            let aws = AWSConfiguration.test(endpoint: "http://localhost:\(proxy.port)")
            var configuration = S3Configuration(bucket: bucket, node: "n", aws: aws)
            configuration.usesPathStyle = false
            configuration.createsBucket = true
            configuration.gather = 0
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            let run = FragmentRun("text\n")
            try await store.append(run, to: job)
            _ = try await store.sync([job])
            let again = S3LogStore(configuration, http: HTTPClient())
            #expect(try await again.transcript(of: LogQuery(job: job)) == Transcript([run]))
            #expect(proxy.requests.allSatisfy { $0.headers["host"] == "\(bucket).localhost:\(proxy.port)" })
            #expect(proxy.requests.contains { $0.line.hasPrefix("PUT /joblet/n/packs/") })
        }
    }

    @Test(arguments: [
        ("logs", "eu-west-1", "logs.s3.eu-west-1.amazonaws.com"),
        ("my.logs", "eu-west-1", "s3.eu-west-1.amazonaws.com"),
        ("logs", "cn-north-1", "logs.s3.cn-north-1.amazonaws.com.cn"),
    ])
    func `the hosts of AWS itself`(_ bucket: String, _ region: String, _ host: String) async throws {
        try await FaultProxy.run { _ in
            .reply(HTTPReply(status: 403))
        } _: { proxy in
            let aws = AWSConfiguration.test(endpoint: nil) { aws in
                aws.region = region
                aws.retry.attempts = 1
            }
            let http = HTTPClient(proxies: Proxies { ["HTTPS_PROXY": proxy.endpoint][$0] })
            let store = S3LogStore(S3Configuration(bucket: bucket, node: "n", aws: aws), http: http)
            await #expect(throws: StorageError.self) { try await store.check() }
            #expect(proxy.requests.map(\.line) == ["CONNECT \(host):443 HTTP/1.1"])
        }
    }

    @Test(arguments: [301, 400], ["AWS_REGION", nil])
    func `a bucket that is elsewhere is followed, unless a region is configured`(
        _ status: Int, _ variable: String?
    ) async throws {
        try await FaultProxy.run { request in
            if request.headers["authorization"]?.contains("/eu-west-3/s3/aws4_request") == true {
                return .reply(HTTPReply(status: 200))
            }
            let body = Array("<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>".utf8)
            return .reply(HTTPReply(status: status, headers: ["x-amz-bucket-region": "eu-west-3"], body: body))
        } _: { proxy in
            func configuration(_ region: String?) -> AWSConfiguration {
                AWSConfiguration.test(endpoint: proxy.endpoint) { aws in
                    aws.region = region
                    aws.environment = {
                        [variable: "us-east-2", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"][$0]
                    }
                }
            }
            let service = AWSService("s3", configuration(nil), http: HTTPClient())
            for _ in 0..<2 { _ = try await service.call(AWSRequest("GET", "/")) }
            #expect(try await service.region() == "eu-west-3")
            #expect(proxy.requests.count == 3)
            let fixed = S3Configuration(bucket: "logs", node: "n", aws: configuration("us-east-2"))
            await #expect(
                throws: StorageError.unavailable(
                    reason: "s3://logs/joblet/n/: PermanentRedirect: elsewhere (the bucket is in eu-west-3)")
            ) { try await S3LogStore(fixed, http: HTTPClient()).check() }
        }
    }
}
