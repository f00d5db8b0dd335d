import AWSSupport
import CloudBackends
import Testing

@Suite struct HTTPClientTests {
    let http = HTTPClient(connections: 2)

    @Test func `method, path, header and body arrive, and come back`() async throws {
        try await FaultProxy.run { request in
            .reply(HTTPReply(status: 418, headers: ["X-Seen": " a b "], body: request.body))
        } _: { proxy in
            let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
            let reply = try await http.send(
                HTTPRequest(
                    "PUT", proxy.endpoint + "/a%20b/../c?q=1",
                    headers: [HTTPHeader("X-Own", "v"), HTTPHeader("X-Empty", "")],
                    body: body))
            #expect(reply.status == 418)
            #expect(reply.headers["x-seen"] == "a b")
            #expect(reply.body == body)
            let request = try #require(proxy.requests.first)
            #expect(request.line == "PUT /a%20b/../c?q=1 HTTP/1.1")
            #expect(request.headers["x-own"] == "v")
            #expect(request.headers["x-empty"] == "")
            #expect(request.headers["content-type"] == nil)
            #expect(request.headers["expect"] == nil)
        }
    }

    @Test(arguments: ["GET", "HEAD", "DELETE", "POST", "PUT"])
    func `a request without a body`(_ method: String) async throws {
        try await FaultProxy.run { _ in
            .reply(HTTPReply(status: 200))
        } _: { proxy in
            let reply = try await http.send(HTTPRequest(method, proxy.endpoint + "/"))
            #expect(reply.status == 200)
            #expect(proxy.requests.map(\.line) == ["\(method) / HTTP/1.1"])
        }
    }

    @Test func `many requests share few connections and all are answered`() async throws {
        try await FaultProxy.run {
            .reply(HTTPReply(status: 200, body: $0.body))
        } _: { proxy in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let body = Array("\(number)".utf8)
                        return try await http.send(HTTPRequest("POST", proxy.endpoint + "/", body: body)).body == body
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
            #expect(proxy.connections <= 2)
        }
    }

    @Test func `a reply beyond the bound is refused`() async throws {
        try await FaultProxy.run { _ in
            .reply(HTTPReply(status: 200, body: [UInt8](repeating: 1, count: 5000)))
        } _: {
            proxy in
            let whole = try await http.send(HTTPRequest("GET", proxy.endpoint, maxReplyBytes: 5000))
            #expect(whole.body.count == 5000)
            await #expect(throws: HTTPError.tooLong) {
                try await http.send(HTTPRequest("GET", proxy.endpoint, maxReplyBytes: 4999))
            }
        }
    }

    @Test func `a server that does not answer is given up`() async throws {
        try await FaultProxy.run { _ in
            .hang
        } _: { proxy in
            let timeouts = HTTPTimeouts(connect: 1000, stall: 60_000, total: 200)
            do {
                _ = try await http.send(HTTPRequest("GET", proxy.endpoint, timeouts: timeouts))
                Issue.record("was answered")
            } catch HTTPError.timedOut {}
        }
    }

    @Test func `a cancelled request ends at once, and its place is free`() async throws {
        try await FaultProxy.run {
            $0.line.contains("hang") ? .hang : .reply(HTTPReply(status: 200))
        } _: { proxy in
            let hanging = (0..<4).map { _ in
                Task { try await http.send(HTTPRequest("GET", proxy.endpoint + "/hang")) }
            }
            while proxy.requests.count < 2 { await Task.yield() }
            for task in hanging { task.cancel() }
            for task in hanging {
                await #expect(throws: HTTPError.cancelled) { try await task.value }
            }
            let reply = try await http.send(HTTPRequest("GET", proxy.endpoint + "/"))
            #expect(reply.status == 200)
        }
    }

    @Test func `a connection that breaks is an error of the connection`() async throws {
        try await FaultProxy.run { _ in
            .cut
        } _: { proxy in
            do {
                _ = try await http.send(HTTPRequest("GET", proxy.endpoint))
                Issue.record("was answered")
            } catch HTTPError.connection {}
        }
    }

    @Test func `addresses of other schemes are refused`() async throws {
        await #expect(throws: HTTPError.self) { try await http.send(HTTPRequest("GET", "file:///etc/passwd")) }
    }
}
