import AWSSupport
import Foundation
import Storage
import Testing

@testable import CloudBackends

@Suite struct S3LifecycleTests {
    private func configuration(_ endpoint: String) -> S3Configuration {
        var configuration = S3Configuration(
            bucket: "logs-\(UUID().uuidString.lowercased())", node: "n", aws: .test(endpoint: endpoint))
        configuration.createsBucket = true
        configuration.setsLifecycle = true
        return configuration
    }

    private func rules(of configuration: S3Configuration) async throws -> [XMLElement] {
        let request = AWSRequest("GET", "/", query: [("lifecycle", "")])
        let reply = try await S3Bucket(configuration, folder: "logs", http: HTTPClient()).send(request)
        return try #require(XMLElement(reply.body)).all("Rule")
    }

    private func expectOurs(_ rule: XMLElement) {
        #expect(rule.first("ID")?.text == "joblet: joblet/")
        #expect(rule.first("Status")?.text == "Enabled")
        #expect(rule.first("Filter")?.first("Prefix")?.text == "joblet/")
        #expect(rule.first("ExpiredObjectDeleteMarker")?.text == "true")
        #expect(rule.first("NoncurrentDays")?.text == "7")
        #expect(rule.first("DaysAfterInitiation")?.text == "7")
        // The objects themselves stay.
        #expect(rule.first("Days") == nil)
    }

    @Test func `a bucket without rules gets one, once`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            var watched = configuration
            watched.aws = .test(endpoint: proxy.endpoint)
            for _ in 0..<2 { try await S3LogStore(watched, http: HTTPClient()).check() }
            let puts = proxy.requests.filter { $0.line.hasPrefix("PUT") && $0.line.contains("lifecycle=") }
            let put = try #require(puts.first)
            #expect(puts.count == 1)
            let md5 = try #require(Digest.md5(put.body))
            #expect(put.headers["content-md5"] == Data(md5).base64EncodedString())
        }
        let rules = try await rules(of: configuration)
        #expect(rules.count == 1)
        expectOurs(try #require(rules.first))
    }

    @Test func `other rules of the bucket stay, and an older one of ours goes`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        var plain = configuration
        plain.setsLifecycle = false
        try await S3LogStore(plain, http: HTTPClient()).check()
        await #expect(throws: AWSError.self) { try await rules(of: plain) }
        let others = """
            <LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Rule><ID>a &amp; b</ID><Filter><Prefix>x/&lt;y&gt;</Prefix></Filter><Status>Disabled</Status>
            <Expiration><Days>12</Days></Expiration></Rule>
            <Rule><ID>joblet: joblet/</ID><Filter><Prefix>joblet/</Prefix></Filter><Status>Enabled</Status>
            <NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration></Rule>
            </LifecycleConfiguration>
            """
        let put = AWSRequest(
            "PUT", "/", query: [("lifecycle", "")], headers: [HTTPHeader("Content-Type", "application/xml")],
            body: Array(others.utf8))
        _ = try await S3Bucket(plain, folder: "logs", http: HTTPClient()).send(put)
        let before = try await rules(of: plain)
        try await S3LogStore(configuration, http: HTTPClient()).check()
        let after = try await rules(of: configuration)
        #expect(after.count == 2)
        #expect(after.first == before.first)
        #expect(after.first?.first("Days")?.text == "12")
        expectOurs(try #require(after.last))
    }
}
