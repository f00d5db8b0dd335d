import AWSSupport
import Foundation
import Storage
import StorageConformance
import Testing

@testable import CloudBackends

/// What samples in S3 cost, and what becomes of them where requests fail.
@Suite struct S3MetricStoreTests {
    private func configuration(_ endpoint: String) -> S3Configuration {
        var configuration = S3Configuration(
            bucket: "metrics-\(UUID().uuidString.lowercased())", node: "n", aws: .test(endpoint: endpoint))
        configuration.createsBucket = true
        return configuration
    }

    @Test func `a bucket that is away is noticed, whatever the store remembers`() async throws {
        let server = try MotoServer.shared.get()
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            let store = S3MetricStore(configuration(proxy.endpoint), http: HTTPClient())
            try await store.check()
            #expect(try await store.jobs(after: nil, limit: 1) == [])
            let before = proxy.requests.count
            try await store.checkBackend()
            #expect(proxy.requests[before...].map { $0.line.prefix(5) } == ["HEAD "])
            proxy.stop()
            await #expect(throws: StorageError.self) { try await store.checkBackend() }
        }
    }

    @Test func `samples of a thousand small jobs take few requests, and are all found again`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        let before = store.counts.requests["PUT"] ?? 0
        var samples: [JobID: [MetricSample]] = [:]
        for seed in 0..<1000 {
            var metrics = SampleMetrics(seed: UInt64(seed))
            samples[.random()] = metrics.samples(12)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (job, samples) in samples {
                group.addTask {
                    try await store.append(samples, to: job)
                    #expect(try await store.sync([job]) == [job: 12])
                    try await store.finish(job)
                }
            }
            try await group.waitForAll()
        }
        let puts = (store.counts.requests["PUT"] ?? 0) - before
        print("PUTs for 1,000 jobs of 12 samples: \(puts)")
        #expect(puts <= 20)
        let again = S3MetricStore(configuration, http: HTTPClient())
        #expect(try await again.jobs(after: nil, limit: 2000) == samples.keys.sorted())
        for (job, samples) in samples.prefix(20) {
            #expect(try await again.samples(MetricQuery(job: job)) == samples)
        }
    }

    @Test func `usages of a thousand jobs cost a request for each object that holds them`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        let jobs = (0..<1000).map { _ in JobID.random() }
        for job in jobs { try await store.append([MetricSample(0, at: 7), MetricSample(1, at: 9)], to: job) }
        _ = try await store.sync(jobs)
        let again = S3MetricStore(configuration, http: HTTPClient())
        #expect(try await again.jobs(after: nil, limit: 1) == [jobs.sorted()[0]])
        let before = again.counts.requests["GET"] ?? 0
        let usages = try await again.usages(after: nil, limit: 1000)
        let gets = (again.counts.requests["GET"] ?? 0) - before
        print("GETs for usages of 1,000 jobs: \(gets)")
        #expect(gets <= 4)
        #expect(usages.map(\.job) == jobs.sorted())
        for usage in usages.prefix(10) {
            let statistics = try await again.statistics(of: usage.job)
            #expect(usage.storedBytes == statistics.storedBytes && usage.times == 7...9)
        }
    }

    @Test func `samples that wait are written without a sync, and memory is bounded`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.objectBytes = 512 << 10
        configuration.memoryBytes = 1 << 20
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        let before = store.counts.requests["PUT"] ?? 0
        let job = JobID.random()
        var metrics = SampleMetrics(seed: 3)
        var written: [MetricSample] = []
        for _ in 0..<60 {
            let samples = metrics.samples(500)
            written += samples
            try await store.append(samples, to: job)
            #expect(await store.bytesInMemory <= 1 << 20 + 300 << 10)
        }
        #expect((store.counts.requests["PUT"] ?? 0) > before)
        #expect(try await store.samples(MetricQuery(job: job), pages: 1000) == written)
        #expect(try await store.sync([job]) == [job: UInt64(written.count)])
        let again = S3MetricStore(configuration, http: HTTPClient())
        #expect(try await again.samples(MetricQuery(job: job), pages: 7000) == written)
    }

    @Test func `logs and samples share a bucket and a prefix, and do not see each other`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint)
            let logs = S3LogStore(configuration, http: HTTPClient())
            let metrics = S3MetricStore(configuration, http: HTTPClient())
            try await logs.check()
            let (both, logged, sampled) = (JobID.random(), JobID.random(), JobID.random())
            for job in [both, logged] { try await logs.append(FragmentRun("text\n"), to: job) }
            for job in [both, sampled] { try await metrics.append([MetricSample(0)], to: job) }
            _ = try await logs.sync([both, logged])
            _ = try await metrics.sync([both, sampled])
            try await metrics.delete(both)
            let logsAgain = S3LogStore(configuration, http: HTTPClient())
            let metricsAgain = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await logsAgain.jobs(after: nil, limit: 9) == [both, logged].sorted())
            #expect(try await metricsAgain.jobs(after: nil, limit: 9) == [sampled])
            let root = "/\(configuration.bucket)/joblet/n/"
            for request in proxy.requests where request.line.hasPrefix("PUT \(root)") {
                let key = request.line.dropFirst("PUT \(root)".count)
                #expect(key.hasPrefix("logs/") || key.hasPrefix("metrics/"), "\(request.line)")
            }
            let lists = proxy.requests.filter { $0.line.contains("list-type=2") }
            #expect(lists.count >= 4)
            for list in lists {
                #expect(list.line.contains("n%2Flogs%2F") || list.line.contains("n%2Fmetrics%2F"), "\(list.line)")
            }
        }
    }

    @Test(arguments: RetryTests.passing)
    func `faults that pass do not reach the caller`(_ fault: RetryTests.Fault) async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.smallPacks = 4
        try await FaultProxy.run(upstream: server.port) { request in
            request.index % 3 == 2 ? fault.action : .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint)
            let store = S3MetricStore(configuration, http: HTTPClient())
            try await store.check()
            var metrics = SampleMetrics(seed: 8)
            let job = JobID.random()
            var written: [MetricSample] = []
            for run in metrics.runs(12) {
                try await store.append(run, to: job)
                written += run
                #expect(try await store.sync([job]) == [job: UInt64(written.count)])
            }
            let again = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await again.samples(MetricQuery(job: job)) == written)
            let size = try await again.statistics(of: job).storedBytes
            let left = try await again.trim(job, to: size / 2)
            let reopened = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await reopened.statistics(of: job).storedBytes == left)
            try await reopened.delete(job)
            #expect(try await reopened.jobs(after: nil, limit: 9) == [])
        }
    }

    @Test func `a process that dies between upload and acknowledgement loses and repeats nothing`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        let isCut = Flag()
        try await FaultProxy.run(upstream: server.port) { request in
            // The object is written, and nobody hears of it.
            isCut.value && request.line.hasPrefix("PUT") ? .cutReply(after: 0) : .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint) { $0.retry.attempts = 1 }
            var metrics = SampleMetrics(seed: 9)
            let job = JobID.random()
            var written: [MetricSample] = []
            for own in [false, true] {
                configuration.ownObjectBytes = own ? 0 : 1 << 20
                for run in metrics.runs(4) {
                    let store = S3MetricStore(configuration, http: HTTPClient())
                    try await store.check()
                    let durable = try await store.end(of: job) ?? 0
                    #expect(durable == UInt64(written.count))
                    written += run
                    try await store.append(run, to: job)
                    isCut.value = true
                    await #expect(throws: StorageError.self) { try await store.sync([job]) }
                    isCut.value = false
                    // The writer was not told, and sends everything again.
                    let next = S3MetricStore(configuration, http: HTTPClient())
                    #expect(try await next.end(of: job) == UInt64(written.count))
                    try await next.append(run, to: job)
                    #expect(try await next.sync([job]) == [job: UInt64(written.count)])
                    #expect(try await next.samples(MetricQuery(job: job)) == written)
                }
            }
        }
    }

    @Test func `an upload that failed is repeated with what came since`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        let isDown = Flag()
        try await FaultProxy.run(upstream: server.port) { request in
            isDown.value && request.line.hasPrefix("PUT") ? .reply(HTTPReply(status: 500)) : .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint)
            let store = S3MetricStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            try await store.append([MetricSample(0)], to: job)
            isDown.value = true
            await #expect(throws: StorageError.self) { try await store.sync([job]) }
            #expect(try await store.samples(MetricQuery(job: job)) == [MetricSample(0)])
            try await store.append([MetricSample(1)], to: job)
            isDown.value = false
            #expect(try await store.sync([job]) == [job: 2])
            let again = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await again.samples(MetricQuery(job: job)) == [MetricSample(0), MetricSample(1)])
        }
    }

    @Test(arguments: S3ConformanceTests.Shape.allCases)
    func `a trim that was interrupted is ended when the store is opened`(
        _ shape: S3ConformanceTests.Shape
    ) async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        shape.apply(to: &configuration)
        let isCut = Flag()
        try await FaultProxy.run(upstream: server.port) { request in
            isCut.value && request.line.hasPrefix("DELETE") ? .cut : .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint) { $0.retry.attempts = 1 }
            let store = S3MetricStore(configuration, http: HTTPClient())
            try await store.check()
            var metrics = SampleMetrics(seed: 10)
            let (job, other) = (JobID.random(), JobID.random())
            var written: [MetricSample] = []
            for run in metrics.runs(10, most: 30) {
                try await store.append(run, to: job)
                written += run
                _ = try await store.sync([job])
            }
            try await store.append([MetricSample(0)], to: other)
            _ = try await store.sync([other])
            isCut.value = true
            for part: UInt64 in [2, 4] {
                let left = try await store.trim(job, to: try await store.statistics(of: job).storedBytes / part)
                let kept = try await store.samples(MetricQuery(job: job))
                #expect(!kept.isEmpty && kept == written.suffix(kept.count))
                isCut.value = false
                let again = S3MetricStore(configuration, http: HTTPClient())
                #expect(try await again.samples(MetricQuery(job: job)) == kept)
                #expect(try await again.statistics(of: job).storedBytes == left)
                #expect(try await again.end(of: job) == UInt64(written.count))
                isCut.value = true
            }
            #expect(try await store.trim(job, to: 0) == 0)
            isCut.value = false
            let again = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await again.jobs(after: nil, limit: 9) == [other])
            // Samples that were given up are not wanted again.
            #expect(try await again.end(of: job) == UInt64(written.count))
            let next = metrics.samples(1)
            try await again.append(next, to: job)
            #expect(try await again.sync([job]) == [job: UInt64(written.count + 1)])
            #expect(try await again.samples(MetricQuery(job: job)) == next)
            try await again.delete(job)
            let last = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await last.jobs(after: nil, limit: 9) == [other])
        }
    }

    @Test func `what stays of an object that is cut is written anew`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.ownObjectBytes = 0
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        var metrics = SampleMetrics(seed: 11)
        let job = JobID.random()
        let written = metrics.samples(8000)
        for half in [written[..<4000], written[4000...]] {
            try await store.append(Array(half), to: job)
            _ = try await store.sync([job])
        }
        let whole = try await store.statistics(of: job).storedBytes
        for part: UInt64 in [8, 7, 5, 3, 1] {
            let left = try await store.trim(job, to: whole * part / 10)
            #expect(left <= whole * part / 10 && left > 0)
            let kept = try await store.samples(MetricQuery(job: job), pages: 1000)
            #expect(!kept.isEmpty && kept == written.suffix(kept.count))
            let again = S3MetricStore(configuration, http: HTTPClient())
            #expect(try await again.samples(MetricQuery(job: job), pages: 1000) == kept)
            #expect(try await again.statistics(of: job).storedBytes == left)
        }
        let next = metrics.samples(3)
        try await store.append(next, to: job)
        #expect(try await store.sync([job]) == [job: 8003])
        let again = S3MetricStore(configuration, http: HTTPClient())
        #expect(try await again.samples(MetricQuery(job: job), pages: 1000).suffix(3) == next)
    }

    @Test func `small blocks become large ones where packs are merged`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        configuration.smallPacks = 8
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        var metrics = SampleMetrics(seed: 12)
        let (job, other) = (JobID.random(), JobID.random())
        var written: [MetricSample] = []
        for index in 0..<100 {
            let samples = metrics.samples(2)
            try await store.append(samples, to: job)
            try await store.append([MetricSample(UInt64(index))], to: other)
            written += samples
            #expect(try await store.sync([job, other])[job] == UInt64(written.count))
            if index % 9 == 0 { #expect(try await store.samples(MetricQuery(job: job)) == written) }
        }
        // A gap, across which nothing is joined.
        try await store.skip(to: 300, of: job)
        for sequence: UInt64 in 300..<340 {
            try await store.append([MetricSample(sequence, at: .max)], to: job)
            written.append(MetricSample(sequence, at: .max))
            _ = try await store.sync([job])
        }
        #expect(try await store.samples(MetricQuery(job: job)) == written)
        let again = S3MetricStore(configuration, http: HTTPClient())
        #expect(try await again.samples(MetricQuery(job: job)) == written)
        #expect(try await again.samples(MetricQuery(job: other)).count == 100)
        let blocks = try await again.blockCount(of: job)
        print("blocks of 240 samples that were synced 140 times: \(blocks)")
        #expect(blocks <= 30)
    }

    @Test func `retention drops what is too old, and the oldest of what is too much`() async throws {
        let server = try MotoServer.shared.get()
        var configuration = configuration(server.endpoint)
        configuration.gather = 0
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        let jobs = (0..<30).map { _ in JobID.random() }
        for (index, job) in jobs.enumerated() {
            try await store.append((0..<5).map { MetricSample($0, at: Int64(100 + index)) }, to: job)
        }
        _ = try await store.sync(jobs)
        let byAge = RetentionPolicy(maximumAge: 89)
        let aged = try await RetentionRun(of: byAge, on: store).run(now: 200, live: { [jobs[0]] })
        #expect(aged.deletedJobs == [.age: 10] && aged.failures.isEmpty)
        let again = S3MetricStore(configuration, http: HTTPClient())
        let left = [jobs[0]] + jobs[11...]
        #expect(try await again.jobs(after: nil, limit: 99) == left.sorted())
        let size = try await again.statistics(of: jobs[0]).storedBytes
        let bySize = RetentionPolicy(maximumTotalBytes: 5 * size + size / 2)
        let sized = try await RetentionRun(of: bySize, on: again).run(now: 200, live: { [] })
        #expect(sized.deletedJobs == [.totalBytes: 15] && sized.failures.isEmpty)
        #expect(try await again.jobs(after: nil, limit: 99) == jobs[25...].sorted())
        let last = S3MetricStore(configuration, http: HTTPClient())
        #expect(try await last.jobs(after: nil, limit: 99) == jobs[25...].sorted())
    }

    @Test func `a deleted job is refused for thirty days`() async throws {
        let server = try MotoServer.shared.get()
        let configuration = configuration(server.endpoint)
        let store = S3MetricStore(configuration, http: HTTPClient())
        try await store.check()
        let job = JobID.random()
        try await store.delete(job)
        let day: Int64 = 86_400 * 1_000_000_000
        for (days, isRefused): (Int64, Bool) in [(29, true), (31, false)] {
            let later = S3MetricStore(configuration, http: HTTPClient(), now: { Tombstones.now() + days * day })
            do {
                try await later.append([MetricSample(0)], to: job)
                #expect(!isRefused)
            } catch StorageError.refused {
                #expect(isRefused)
            }
        }
    }
}

extension S3MetricStore {
    fileprivate func blockCount(of job: JobID) async throws -> Int { try await existingSeries(of: job).blocks.count }
}
