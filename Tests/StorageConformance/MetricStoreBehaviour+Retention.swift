import Storage
import Testing

extension MetricStoreBehaviour {
    static let retention: [Self] = [
        .init("trimmed samples are the newest, in the size that was asked for") { store in
            let job = JobID.random()
            var sample = SampleMetrics(seed: 200)
            var samples = sample.samples(1500)
            for start in stride(from: 0, to: 1500, by: 100) {
                try await store.append(Array(samples[start..<start + 100]), to: job)
                _ = try await store.sync([job])
            }
            let whole = try await store.statistics(of: job).storedBytes
            for size in [whole, whole * 2 / 3, whole / 10, whole / 100] {
                let left = try await store.trim(job, to: size)
                #expect(left <= size)
                #expect(try await store.statistics(of: job).storedBytes == left)
                let rest = try await store.samples(MetricQuery(job: job))
                #expect(!rest.isEmpty)
                #expect(rest == samples.suffix(rest.count))
                #expect((size == whole) == (rest.count == samples.count))
                #expect(try await store.end(of: job) == 1500)
                let late = MetricQuery(job: job, since: rest[rest.count / 2].time)
                #expect(try await store.samples(late) == rest.filter { $0.time >= rest[rest.count / 2].time })
            }
            let more = sample.samples(5)
            try await store.append(more, to: job)
            samples += more
            _ = try await store.sync([job])
            let rest = try await store.samples(MetricQuery(job: job))
            #expect(rest == samples.suffix(rest.count))
        },
        .init("samples of which nothing fits are gone, and so are unknown ones") { store in
            let job = JobID.random()
            var sample = SampleMetrics(seed: 201)
            try await store.append(sample.samples(40), to: job)
            #expect(try await store.trim(job, to: 0) == 0)
            await #expect(throws: StorageError.notFound) { try await store.statistics(of: job) }
            #expect(try await store.jobs(after: nil, limit: 5) == [])
            #expect(try await store.usages(after: nil, limit: 5) == [])
            let unknown = JobID.random()
            await #expect(throws: StorageError.notFound) { _ = try await store.trim(unknown, to: 10) }
        },
        .init("usages tell what each job's samples take, in order, page by page") { store in
            let jobs = (0..<7).map { _ in JobID.random() }.sorted()
            for (index, job) in jobs.enumerated() {
                var sample = SampleMetrics(seed: UInt64(210 + index))
                try await store.append(sample.samples(3 + index), to: job)
                if index % 2 == 0 { _ = try await store.sync([job]) }
            }
            let usages = try await store.usages(after: nil, limit: 100)
            #expect(usages.map(\.job) == jobs)
            for usage in usages {
                let statistics = try await store.statistics(of: usage.job)
                #expect(usage.storedBytes == statistics.storedBytes && usage.times == statistics.times)
            }
            #expect(try await store.usages(after: jobs[2], limit: 3) == Array(usages[3..<6]))
        },
        .init(reopening: "trimmed samples stay trimmed") { subject in
            let job = JobID.random()
            var sample = SampleMetrics(seed: 202)
            for _ in 0..<6 {
                try await subject.store.append(sample.samples(100), to: job)
                _ = try await subject.store.sync([job])
            }
            let size = try await subject.store.statistics(of: job).storedBytes / 2
            let left = try await subject.store.trim(job, to: size)
            let before = try await subject.store.samples(MetricQuery(job: job))
            let store = try await subject.reopen()
            #expect(try await store.statistics(of: job).storedBytes == left)
            #expect(try await store.samples(MetricQuery(job: job)) == before)
        },
    ]
}
