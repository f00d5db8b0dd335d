import AWSSupport
import Foundation
import Storage
import StorageConformance
import Testing

@testable import CloudBackends

/// What logs in S3 cost in requests.
@Suite struct S3RequestTests {
    private func configuration(_ endpoint: String) -> S3Configuration {
        var configuration = S3Configuration(
            bucket: "logs-\(UUID().uuidString.lowercased())", node: "n", aws: .test(endpoint: endpoint))
        configuration.createsBucket = true
        return configuration
    }

    @Test func `a thousand small jobs that end together take few requests, and are all found again`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        let before = store.counts.requests["PUT"] ?? 0
        let jobs = (0..<1000).map { _ in JobID.random() }
        let text = String(repeating: "a line of a small job\n", count: 46)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for job in jobs {
                group.addTask {
                    try await store.append(FragmentRun(text), to: job)
                    #expect(try await store.sync([job]) == [job: UInt64(text.utf8.count)])
                    try await store.finish(job)
                }
            }
            try await group.waitForAll()
        }
        let puts = (store.counts.requests["PUT"] ?? 0) - before
        print("PUTs for 1,000 jobs of 1 KB: \(puts)")
        #expect(puts <= 20)
        let again = S3LogStore(configuration, http: HTTPClient())
        #expect(try await again.jobs(after: nil, limit: 2000) == jobs.sorted())
        for job in jobs.prefix(20) {
            #expect(try await again.transcript(of: LogQuery(job: job)).bytes == Array(text.utf8))
        }
    }

    @Test func `a large log takes a PUT for each sixteen megabytes, and a tail reads little of it`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        let before = store.counts.requests["PUT"] ?? 0
        let job = JobID.random()
        var sample = SampleLog(seed: 5)
        for _ in 0..<64 { try await store.append(sample.lines(bytes: 1 << 20), to: job) }
        #expect(try await store.sync([job]) == [job: 64 << 20])
        let puts = (store.counts.requests["PUT"] ?? 0) - before
        print("PUTs for 64 MiB of one job: \(puts)")
        // What gathers while one object is written goes into the next, however slow that is.
        #expect(puts <= 5)
        let again = S3LogStore(configuration, http: HTTPClient())
        let query = LogQuery(job: job)
        let cursor = try await again.cursor(forLast: 10, of: query)
        #expect(cursor.position >= 62 << 20)
        let opened = again.counts.requests["GET"] ?? 0
        let page = try await again.read(query, after: cursor, maxBytes: 1 << 20)
        #expect(!page.fragments.isEmpty)
        #expect((again.counts.requests["GET"] ?? 0) - opened <= 2)
    }

    @Test func `a log that is read on and on takes few requests, whoever else reads`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        let job = JobID.random()
        var sample = SampleLog(seed: 6)
        let runs = (0..<32).map { _ in sample.lines(bytes: 1 << 20) }
        for run in runs { try await store.append(run, to: job) }
        #expect(try await store.sync([job]) == [job: 32 << 20])
        let again = S3LogStore(configuration, http: HTTPClient())
        let query = LogQuery(job: job)
        #expect(try await again.statistics(of: job).bytes == 32 << 20)
        let opened = again.counts.requests["GET"] ?? 0
        let bytes = runs.flatMap(\.bytes)
        #expect(try await again.transcript(of: query).bytes == bytes)
        let alone = (again.counts.requests["GET"] ?? 0) - opened
        print("GETs for 32 MiB of one job: \(alone)")
        #expect(alone <= 8)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { try await again.transcript(of: query).bytes == bytes }
            }
            for try await isRight in group { #expect(isRight) }
        }
        // No more than a request a block for each of them.
        #expect((again.counts.requests["GET"] ?? 0) - opened <= alone + 8 * 33)
    }

    @Test func `memory is bounded however many jobs write`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.memoryBytes = 1 << 20
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        var runs: [JobID: FragmentRun] = [:]
        for seed in 0..<100 {
            var sample = SampleLog(seed: UInt64(seed))
            let (job, run) = (JobID.random(), sample.lines(bytes: 40_000))
            runs[job] = run
            try await store.append(run, to: job)
            #expect(await store.bytesInMemory <= 1 << 20 + 40_000)
        }
        for (job, run) in runs {
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript([run]))
        }
    }

    @Test func `packs are merged, and deleted jobs leave them`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.smallPacks = 8
        let keys = Flag()
        try await FaultProxy.run(upstream: server.port) { request in
            if request.line.hasPrefix("DELETE"), request.line.contains("/packs/") { keys.value = true }
            return .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint)
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let jobs = (0..<30).map { _ in JobID.random() }
            for job in jobs {
                try await store.append(FragmentRun("job \(job)\n"), to: job)
                _ = try await store.sync([job])
            }
            #expect(keys.value)
            for job in jobs.prefix(20) { try await store.delete(job) }
            let last = JobID.random()
            try await store.append(FragmentRun("last\n"), to: last)
            _ = try await store.sync([last])
            let again = S3LogStore(configuration, http: HTTPClient())
            #expect(try await again.jobs(after: nil, limit: 99) == (jobs[20...] + [last]).sorted())
            for job in jobs[20...] {
                #expect(try await again.transcript(of: LogQuery(job: job)).bytes == Array("job \(job)\n".utf8))
            }
        }
    }

    @Test(arguments: [
        (S3Configuration.Encryption.s3, ["x-amz-server-side-encryption": "AES256"]),
        (
            .kms(key: "key-1"),
            [
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
            ]
        ),
    ])
    func `objects are encrypted as asked`(
        _ encryption: S3Configuration.Encryption, _ fields: [String: String]
    ) async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.encryption = encryption
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint)
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            try await store.append(FragmentRun("x"), to: job)
            _ = try await store.sync([job])
            let put = try #require(proxy.requests.first { $0.line.contains("/packs/") })
            for (name, value) in fields { #expect(put.headers[name] == value) }
        }
    }

    @Test func `a bucket that is not there is named, and not made unasked`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.createsBucket = false
        let store = S3LogStore(configuration, http: HTTPClient())
        await #expect(
            throws: StorageError.unavailable(
                reason: "S3 bucket \(configuration.bucket) does not exist; make it, or set createBucket")
        ) { try await store.check() }
    }

    @Test func `a table that is not there is named, and not made unasked`() async throws {
        let server = try MotoServer.shared.get()
        let store = DynamoDBJobStore(
            DynamoDBConfiguration(table: "none", aws: server.configuration()), http: HTTPClient())
        await #expect(
            throws: StorageError.unavailable(
                reason: "DynamoDB table none does not exist; make it, or set createTable")
        ) { try await store.check() }
    }
}
