import Storage
import Testing

extension MetricStoreBehaviour {
    static let retention: [MetricStoreBehaviour] = [
        .init("trimmed samples are the newest, and are listed with what they take") { store in
            let (job, samples) = try await stored(400, in: store)
            let whole = try #require(try await store.usages(after: nil, limit: 10).first { $0.job == job })
            #expect(whole.times == samples[0].time...samples[399].time)
            let left = try await store.trim(job, to: whole.storedBytes / 2)
            #expect(left <= whole.storedBytes / 2)
            let kept = try await store.samples(MetricQuery(job: job))
            #expect(!kept.isEmpty && kept.count < 400)
            #expect(kept == Array(samples.suffix(kept.count)))
            #expect(try await store.statistics(of: job).storedBytes == left)
            #expect(try await store.end(of: job) == 400)
        },
        .init("samples that fit are not trimmed") { store in
            let (job, samples) = try await stored(20, in: store)
            let size = try await store.statistics(of: job).storedBytes
            #expect(try await store.trim(job, to: size) == size)
            #expect(try await store.samples(MetricQuery(job: job)) == samples)
            let unknown = JobID.random()
            await #expect(throws: StorageError.notFound) { _ = try await store.trim(unknown, to: 1) }
        },
        .init("samples that are trimmed to nothing are gone") { store in
            let (job, _) = try await stored(20, in: store)
            #expect(try await store.trim(job, to: 0) == 0)
            await #expect(throws: StorageError.notFound) { _ = try await store.statistics(of: job) }
            #expect(try await store.usages(after: nil, limit: 10).isEmpty)
        },
    ]

    /// A job with that many samples, twenty of them at a time durable.
    private static func stored(
        _ count: Int, in store: any MetricStore
    ) async throws -> (job: JobID, samples: [MetricSample]) {
        let job = JobID.random()
        var samples: [MetricSample] = []
        for number in 0..<count {
            let cpu = MetricPoint(type: .cpu, values: ["cpu_percent": Double(number)])
            let read = ["io_read_bytes": Double(number * 977)]
            let disk = MetricPoint(type: .io, labels: ["device": "8:0"], values: read)
            let time = 1_000_000_000 * Int64(number + 1)
            samples.append(MetricSample(sequence: UInt64(number), time: time, points: [cpu, disk]))
        }
        for start in stride(from: 0, to: count, by: 20) {
            try await store.append(Array(samples[start..<min(count, start + 20)]), to: job)
            _ = try await store.sync([job])
        }
        return (job, samples)
    }
}
