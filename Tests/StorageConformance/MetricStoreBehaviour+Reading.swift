import Storage
import Testing

extension MetricStoreBehaviour {
    static let reading: [Self] = [
        .init("pages follow each other without gap or repeat, whatever their size") { store in
            var metrics = SampleMetrics(seed: 10)
            let samples = metrics.samples(80)
            let job = JobID.random()
            for start in stride(from: 0, to: 80, by: 13) {
                try await store.append(Array(samples[start..<min(80, start + 13)]), to: job)
                if start % 2 == 0 { _ = try await store.sync([job]) }
            }
            for limit in [1, 3, 13, 79, 80, 81, Int.max] {
                #expect(try await store.samples(MetricQuery(job: job), pages: limit) == samples)
            }
            for sequence in stride(from: UInt64(0), through: 80, by: 9) {
                let rest = try await store.samples(MetricQuery(job: job), from: sequence, pages: 5)
                #expect(rest == Array(samples[Int(sequence)...]))
            }
        },
        .init("a page holds at least one sample, whatever was asked") { store in
            let job = JobID.random()
            try await store.append([MetricSample(0), MetricSample(1)], to: job)
            for limit in [0, -5] {
                let page = try await store.read(MetricQuery(job: job), from: 0, limit: limit)
                #expect(page == MetricPage(samples: [MetricSample(0)], next: 1, isLast: false))
            }
        },
        .init("a page that ends with the samples says so") { store in
            let job = JobID.random()
            try await store.append([MetricSample(0), MetricSample(1)], to: job)
            let page = try await store.read(MetricQuery(job: job), from: 0, limit: 2)
            #expect(page == MetricPage(samples: [MetricSample(0), MetricSample(1)], next: 2, isLast: true))
        },
        .init("behind the end a page is empty, and the last") { store in
            let job = JobID.random()
            try await store.append([MetricSample(0)], to: job)
            for sequence: UInt64 in [1, 900, .max] {
                let page = try await store.read(MetricQuery(job: job), from: sequence, limit: 10)
                #expect(page == MetricPage(next: sequence, isLast: true))
            }
        },
        .init("a reader at the end goes on where the writer does") { store in
            var metrics = SampleMetrics(seed: 11)
            let job = JobID.random()
            var seen: [MetricSample] = []
            var written: [MetricSample] = []
            var next: UInt64 = 0
            for run in metrics.runs(30) {
                try await store.append(run, to: job)
                written += run
                var page: MetricPage
                repeat {
                    page = try await store.read(MetricQuery(job: job), from: next, limit: 4)
                    seen += page.samples
                    next = page.next
                } while !page.isLast
                if run.count % 2 == 0 { _ = try await store.sync([job]) }
            }
            #expect(seen == written)
        },
        .init("types, times and the end narrow what is read") { store in
            var metrics = SampleMetrics(seed: 12)
            let job = JobID.random()
            var written: [MetricSample] = []
            for (index, run) in metrics.runs(30).enumerated() {
                try await store.append(run, to: job)
                written += run
                if index % 5 == 0 { _ = try await store.sync([job]) }
            }
            let times = written.map(\.time)
            var queries = [
                MetricQuery(job: job, types: [.cpu]), MetricQuery(job: job, types: [.io]),
                MetricQuery(job: job, types: [.memory, .io]), MetricQuery(job: job, types: []),
                MetricQuery(job: job, types: [.gpu]), MetricQuery(job: job, since: .min, until: .max),
                MetricQuery(job: job, since: 10, until: 9), MetricQuery(job: job, until: times[0]),
                MetricQuery(job: job, since: times[times.count - 1]), MetricQuery(job: job, since: .max),
                MetricQuery(job: job, until: .min), MetricQuery(job: job, endSequence: 0),
                MetricQuery(job: job, endSequence: .max),
            ]
            for _ in 0..<40 {
                let since = times[Int.random(in: times.indices, using: &metrics)] + Int64(metrics.next() % 3) - 1
                let until = times[Int.random(in: times.indices, using: &metrics)] + Int64(metrics.next() % 3) - 1
                queries.append(
                    MetricQuery(
                        job: job, types: Bool.random(using: &metrics) ? [.cpu, .io] : Set(MetricType.allCases),
                        since: Bool.random(using: &metrics) ? since : nil,
                        until: Bool.random(using: &metrics) ? until : nil,
                        endSequence: Bool.random(using: &metrics)
                            ? UInt64.random(in: 0...UInt64(times.count + 3), using: &metrics) : nil))
            }
            for query in queries {
                let limit = [1, 5, 1000].randomElement(using: &metrics) ?? 1
                let expected = written.compactMap(query.matching)
                #expect(try await store.samples(query, pages: limit) == expected, "\(query)")
            }
        },
        .init("reading up to a sequence, then on from there, gives everything once") { store in
            var metrics = SampleMetrics(seed: 13)
            let samples = metrics.samples(50)
            let job = JobID.random()
            try await store.append(samples, to: job)
            for end: UInt64 in [0, 1, 17, 49, 50] {
                let page = try await store.read(MetricQuery(job: job, endSequence: end), from: 0, limit: 100)
                #expect(page.isLast)
                #expect(page.next == end)
                let rest = try await store.samples(MetricQuery(job: job), from: page.next)
                #expect(page.samples + rest == samples)
            }
        },
        .init("a cancelled reader is told so") { store in
            let job = JobID.random()
            try await store.append([MetricSample(0)], to: job)
            let task = Task<StorageError?, Never> {
                // Read only once the task is cancelled.
                while !Task.isCancelled { await Task.yield() }
                do throws(StorageError) {
                    _ = try await store.read(MetricQuery(job: job), from: 0, limit: 1)
                    return nil
                } catch {
                    return error
                }
            }
            task.cancel()
            #expect(await task.value == .cancelled)
            #expect(try await store.samples(MetricQuery(job: job)) == [MetricSample(0)])
        },
    ]
}
