import AWSSupport
import Foundation
import TestSupport
import Testing

@testable import CloudBackends

/// Requests through a forwarding proxy on the loopback interface, to moto's server.
@Suite struct ProxyTests {
    private func client(_ variables: [String: String], caBundle: String? = nil) -> HTTPClient {
        HTTPClient(caBundle: caBundle, proxies: Proxies { variables[$0] })
    }

    @Test(arguments: ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    func `plain requests go through the proxy, which finds the host`(_ variable: String) async throws {
        let server = try MotoServer.shared.get()
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            let request = HTTPRequest("GET", "http://joblet.invalid/moto-api/data.json")
            let reply = try await client([variable: proxy.endpoint]).send(request)
            #expect(reply.status == 200)
            #expect(proxy.requests.map(\.line) == ["GET http://joblet.invalid/moto-api/data.json HTTP/1.1"])
        }
    }

    @Test(arguments: ["http://joblet.invalid", "http://joblet.invalid:80", "http://joblet.invalid:80/path"])
    func `what is signed is the host that is sent`(_ endpoint: String) async throws {
        try await FaultProxy.run { _ in
            .reply(HTTPReply(status: 200, headers: [:], body: []))
        } _: { proxy in
            let configuration = AWSConfiguration.test(endpoint: endpoint)
            let service = AWSService("s3", configuration, http: client(["HTTP_PROXY": proxy.endpoint]))
            _ = try await service.call(AWSRequest("DELETE", "/key"))
            let sent = try #require(proxy.requests.first)
            #expect(sent.headers["host"] == "joblet.invalid")
            let now = AWSDate.now()
            let time = try #require((now - 60...now).first { AWSDate.basic($0) == sent.headers["x-amz-date"] })
            let path = endpoint.hasSuffix("/path") ? "/path/key" : "/key"
            let headers = Signer(region: "us-east-1", service: "s3").headers(
                for: AWSRequest("DELETE", path), host: "joblet.invalid",
                credentials: try #require(configuration.credentials), at: time)
            #expect(sent.headers["authorization"] == headers.first { $0.name == "Authorization" }?.value)
        }
    }

    @Test(arguments: ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
    func `encrypted requests go through a tunnel`(_ variable: String) async throws {
        let directory = try TemporaryDirectory()
        let certificate = try TLSTests.certificate(in: directory)
        let server = try MotoServer(certificate: certificate)
        try await FaultProxy.run(upstream: server.port) { _ in
            .tunnel
        } _: { proxy in
            let http = client([variable: proxy.endpoint], caBundle: certificate.path)
            for _ in 0..<2 {
                let reply = try await http.send(HTTPRequest("GET", server.endpoint + "/moto-api/data.json"))
                #expect(reply.status == 200)
            }
            // One for each connection, of which the server may end the first.
            #expect(Set(proxy.requests.map(\.line)) == ["CONNECT 127.0.0.1:\(server.port) HTTP/1.1"])
        }
    }

    @Test(arguments: ["NO_PROXY", "no_proxy"])
    func `hosts that are excepted are asked directly`(_ variable: String) async throws {
        let server = try MotoServer.shared.get()
        try await FaultProxy.run { _ in
            .cut
        } _: { proxy in
            let http = client(["HTTP_PROXY": proxy.endpoint, variable: "example.com,127.0.0.1"])
            let reply = try await http.send(HTTPRequest("GET", server.endpoint + "/moto-api/data.json"))
            #expect(reply.status == 200)
            #expect(proxy.requests.isEmpty)
            await #expect(throws: HTTPError.self) { try await http.send(HTTPRequest("GET", "http://joblet.invalid/")) }
            #expect(proxy.requests.count == 1)
        }
    }

    @Test func `the instance's own addresses are asked directly`() async throws {
        let server = try MotoServer.shared.get()
        try await FaultProxy.run { _ in
            .cut
        } _: { proxy in
            let request = HTTPRequest("GET", server.endpoint + "/moto-api/data.json", bypassesProxies: true)
            let reply = try await client(["HTTP_PROXY": proxy.endpoint]).send(request)
            #expect(reply.status == 200)
            #expect(proxy.requests.isEmpty)
        }
    }

    @Test func `small letters go before capitals, and a scheme's own before all`() {
        let variables = [
            "http_proxy": "a", "HTTP_PROXY": "b", "HTTPS_PROXY": "c", "all_proxy": "d", "no_proxy": "e",
            "NO_PROXY": "f",
        ]
        let proxies = Proxies { variables[$0] }
        #expect(proxies.proxy(for: "http://host/") == "a")
        #expect(proxies.proxy(for: "HTTPS://host/") == "c")
        #expect(proxies.exceptions == "e")
        #expect(Proxies { _ in nil }.proxy(for: "https://host/") == "")
    }
}
