import AWSSupport
import CloudBackends
import Foundation
import Storage
import StorageConformance
import Synchronization
import Testing

/// Calls through a proxy that makes faults, to moto's server.
@Suite struct RetryTests {
    /// A fault that passes, and how often it is made.
    struct Fault: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var action: FaultProxy.Action
    }

    static let passing: [Fault] = [
        Fault(testDescription: "cut", action: .cut),
        Fault(testDescription: "cut reply", action: .cutReply(after: 20)),
        Fault(testDescription: "delay", action: .delay(30)),
        Fault(testDescription: "500", action: .reply(HTTPReply(status: 500))),
        Fault(testDescription: "503", action: .reply(HTTPReply(status: 503))),
        Fault(
            testDescription: "SlowDown",
            action: .reply(HTTPReply(status: 503, body: Array("<Error><Code>SlowDown</Code></Error>".utf8)))),
        Fault(
            testDescription: "throttling",
            action: .reply(
                HTTPReply(
                    status: 400, headers: ["Content-Type": "application/x-amz-json-1.0"],
                    body: Array(#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#.utf8)))),
    ]

    @Test(arguments: passing)
    func `faults that pass do not reach the caller of a job store`(_ fault: Fault) async throws {
        let server = try MotoServer.shared.get()
        let table = "jobs-\(UUID())"
        try await FaultProxy.run(upstream: server.port) { request in
            request.index % 3 == 2 ? fault.action : .pass
        } _: { proxy in
            var configuration = DynamoDBConfiguration(table: table, aws: .test(endpoint: proxy.endpoint))
            configuration.createsTable = true
            let store = DynamoDBJobStore(configuration, http: HTTPClient())
            try await store.check()
            let records = (0..<20).map { record(createdAt: Int64($0)) }
            for record in records { try await store.put([record]) }
            for record in records { #expect(try await store.get(record.id) == record) }
            #expect(try await store.list(JobQuery(), after: nil, limit: 100).records == records)
        }
    }

    @Test func `a service that stopped working is noticed although the store knows its jobs`() async throws {
        let server = try MotoServer.shared.get()
        let isAway = Mutex(false)
        try await FaultProxy.run(upstream: server.port) { _ in
            isAway.withLock { $0 } ? .reply(HTTPReply(status: 403)) : .pass
        } _: { proxy in
            var configuration = S3Configuration(
                bucket: "logs-\(UUID().uuidString.lowercased())", node: "n", aws: .test(endpoint: proxy.endpoint))
            configuration.createsBucket = true
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            try await store.append(FragmentRun("text"), to: job)
            try await store.checkBackend()
            isAway.withLock { $0 = true }
            #expect(try await store.jobs(after: nil, limit: 1) == [job])
            await #expect(throws: StorageError.self) { try await store.checkBackend() }
        }
    }

    @Test(arguments: passing)
    func `faults that pass do not reach the caller of a log store`(_ fault: Fault) async throws {
        let server = try MotoServer.shared.get()
        let bucket = "logs-\(UUID().uuidString.lowercased())"
        try await FaultProxy.run(upstream: server.port) { request in
            request.index % 3 == 2 ? fault.action : .pass
        } _: { proxy in
            var configuration = S3Configuration(bucket: bucket, node: "n", aws: .test(endpoint: proxy.endpoint))
            configuration.createsBucket = true
            configuration.gather = 0
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            for number in 0..<10 {
                run.append(stream: .stdout, time: Int64(number), bytes: "line \(number)\n".utf8)
                try await store.append(run, to: job)
                #expect(try await store.sync([job]) == [job: run.end])
            }
            let page = try await S3LogStore(configuration, http: HTTPClient())
                .read(LogQuery(job: job), after: .start, maxBytes: 1 << 20)
            #expect(page.bytes == run.bytes)
        }
    }

    @Test func `a service that is down is unavailable, after as many attempts as are allowed`() async throws {
        try await FaultProxy.run { _ in
            .reply(HTTPReply(status: 503))
        } _: { proxy in
            let store = DynamoDBJobStore(
                DynamoDBConfiguration(table: "t", aws: .test(endpoint: proxy.endpoint)), http: HTTPClient())
            do {
                _ = try await store.get(.random())
                Issue.record("was answered")
            } catch StorageError.unavailable {}
            #expect(proxy.requests.count == 5)
        }
    }

    @Test func `what was not written stays in memory and is written by a later sync`() async throws {
        let server = try MotoServer.shared.get()
        let isDown = Flag()
        try await FaultProxy.run(upstream: server.port) { request in
            isDown.value && request.line.hasPrefix("PUT") ? .reply(HTTPReply(status: 500)) : .pass
        } _: { proxy in
            var configuration = S3Configuration(
                bucket: "logs-\(UUID().uuidString.lowercased())", node: "n", aws: .test(endpoint: proxy.endpoint))
            configuration.createsBucket = true
            configuration.gather = 0
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            run.append(stream: .stdout, time: 1, bytes: "text\n".utf8)
            try await store.append(run, to: job)
            isDown.value = true
            await #expect(throws: StorageError.self) { try await store.sync([job]) }
            #expect(try await store.read(LogQuery(job: job), after: .start, maxBytes: 9).bytes == run.bytes)
            isDown.value = false
            #expect(try await store.sync([job]) == [job: 5])
        }
    }

    @Test func `the budget of all calls ends the retries of each`() async throws {
        try await FaultProxy.run { _ in
            .cut
        } _: { proxy in
            let aws = AWSConfiguration.test(endpoint: proxy.endpoint) { $0.retry.budget = 3 }
            let service = AWSService("s3", aws, http: HTTPClient())
            for _ in 0..<10 {
                await #expect(throws: AWSError.self) { try await service.call(AWSRequest("GET", "/")) }
            }
            // A call itself is always made; of retries there are three.
            #expect(proxy.requests.count == 13)
        }
    }

    @Test func `a refusal that does not pass is not tried again`() async throws {
        let body = Array("<Error><Code>AccessDenied</Code><Message>slow down</Message></Error>".utf8)
        try await FaultProxy.run { _ in
            .reply(HTTPReply(status: 403, body: body))
        } _: { proxy in
            let service = AWSService("s3", .test(endpoint: proxy.endpoint), http: HTTPClient())
            await #expect(throws: AWSError(code: "AccessDenied", status: 403, message: "slow down")) {
                try await service.call(AWSRequest("GET", "/"))
            }
            #expect(proxy.requests.count == 1)
        }
    }

    @Test func `a clock that is wrong is corrected by the service's`() async throws {
        let body = Array("<Error><Code>RequestTimeTooSkewed</Code></Error>".utf8)
        try await FaultProxy.run { request in
            // The service lives on 1 January 2100.
            let date = ["Date": "Fri, 01 Jan 2100 00:00:00 GMT"]
            let isRight = request.headers["x-amz-date"]?.hasPrefix("21000101T") == true
            return .reply(HTTPReply(status: isRight ? 200 : 403, headers: date, body: isRight ? [] : body))
        } _: { proxy in
            let service = AWSService("s3", .test(endpoint: proxy.endpoint), http: HTTPClient())
            _ = try await service.call(AWSRequest("GET", "/"))
            _ = try await service.call(AWSRequest("GET", "/"))
            #expect(proxy.requests.count == 3)
        }
    }

    @Test func `keys that a batch leaves unprocessed are asked for again`() async throws {
        let server = try MotoServer.shared.get()
        let table = "jobs-\(UUID())"
        try await FaultProxy.run(upstream: server.port) { request in
            guard request.operation == "BatchGetItem", request.index % 2 == 0 else { return .pass }
            let text = String(decoding: request.body, as: UTF8.self)
            let items = text.dropFirst(#"{"RequestItems":"#.count).dropLast()
            let reply = #"{"Responses":{},"UnprocessedKeys":"# + items + "}"
            return .reply(
                HTTPReply(
                    status: 200, headers: ["Content-Type": "application/x-amz-json-1.0"], body: Array(reply.utf8)))
        } _: { proxy in
            var configuration = DynamoDBConfiguration(table: table, aws: .test(endpoint: proxy.endpoint))
            configuration.createsTable = true
            let store = DynamoDBJobStore(configuration, http: HTTPClient())
            try await store.check()
            let records = (0..<130).map { record(createdAt: Int64($0)) }
            try await store.put(records)
            for _ in 0..<4 {
                #expect(try await store.list(JobQuery(), after: nil, limit: 200).records == records)
            }
            #expect(proxy.requests.contains { $0.operation == "BatchGetItem" && $0.index % 2 == 0 })
        }
    }

    private func record(createdAt: Int64) -> JobRecord {
        JobRecord(
            id: .random(), node: NodeIdentity(id: "node", incarnation: "one"),
            specification: JobSpecification(command: "/bin/true"), createdAt: createdAt)
    }
}
