import Storage
import Testing

extension MetricStoreBehaviour {
    static let lifecycle: [Self] = [
        .init("sync answers with the end of each job it knows") { store in
            let (known, unknown) = (JobID.random(), JobID.random())
            try await store.append([MetricSample(0), MetricSample(1)], to: known)
            #expect(try await store.sync([known, unknown]) == [known: 2])
            #expect(try await store.sync([known]) == [known: 2])
            #expect(try await store.sync([]) == [:])
        },
        .init("appending goes on after sync and after finish") { store in
            var metrics = SampleMetrics(seed: 30)
            let job = JobID.random()
            var written: [MetricSample] = []
            for (index, run) in metrics.runs(40).enumerated() {
                try await store.append(run, to: job)
                written += run
                if index % 3 == 0 { #expect(try await store.sync([job]) == [job: UInt64(written.count)]) }
                if index % 7 == 0 { try await store.finish(job) }
            }
            #expect(try await store.samples(MetricQuery(job: job)) == written)
        },
        .init("finishing a job that is not known is no error") { store in
            let job = JobID.random()
            try await store.finish(job)
            #expect(try await store.end(of: job) == nil)
        },
        .init("deleted samples are gone, and later ones are refused") { store in
            let (job, other) = (JobID.random(), JobID.random())
            try await store.append([MetricSample(0)], to: job)
            try await store.append([MetricSample(0, value: 7)], to: other)
            _ = try await store.sync([job, other])
            try await store.append([MetricSample(1)], to: job)
            try await store.delete(job)
            await #expect(throws: StorageError.notFound) {
                try await store.read(MetricQuery(job: job), from: 0, limit: 10)
            }
            await expectRefused { try await store.append([MetricSample(2)], to: job) }
            await expectRefused { try await store.append([MetricSample(0)], to: job) }
            await expectRefused { try await store.skip(to: 9, of: job) }
            #expect(try await store.end(of: job) == nil)
            #expect(try await store.sync([job]) == [:])
            try await store.finish(job)
            #expect(try await store.jobs(after: nil, limit: 10) == [other])
            #expect(try await store.samples(MetricQuery(job: other)) == [MetricSample(0, value: 7)])
        },
        .init("deleting what is not there is no error, and refuses later samples") { store in
            let job = JobID.random()
            try await store.delete(job)
            try await store.delete(job)
            await expectRefused { try await store.append([MetricSample(0)], to: job) }
        },
        .init("the jobs that have samples are listed in order, page by page") { store in
            let jobs = (0..<25).map { _ in JobID.random() }.sorted()
            for (index, job) in jobs.enumerated() {
                try await store.append([MetricSample(0)], to: job)
                if index % 2 == 0 { _ = try await store.sync([job]) }
            }
            #expect(try await store.jobs(after: nil, limit: 100) == jobs)
            #expect(try await store.jobs(after: nil, limit: 7) == Array(jobs[..<7]))
            #expect(try await store.jobs(after: jobs[6], limit: 7) == Array(jobs[7..<14]))
            #expect(try await store.jobs(after: jobs[24], limit: 7) == [])
        },
        .init("statistics count what was written") { store in
            var metrics = SampleMetrics(seed: 31)
            let samples = metrics.samples(50)
            let job = JobID.random()
            await #expect(throws: StorageError.notFound) { try await store.statistics(of: job) }
            try await store.append(Array(samples[..<20]), to: job)
            _ = try await store.sync([job])
            try await store.append(Array(samples[20...]), to: job)
            let statistics = try await store.statistics(of: job)
            #expect(statistics.samples == 50)
            #expect(statistics.storedBytes > 0)
            #expect(statistics.times == samples[0].time...samples[49].time)
        },
        .init(reopening: "what was synced outlives the store") { subject in
            let jobs = (0..<5).map { _ in JobID.random() }.sorted()
            var written: [JobID: [MetricSample]] = [:]
            for (index, job) in jobs.enumerated() {
                var metrics = SampleMetrics(seed: UInt64(40 + index))
                written[job] = metrics.samples(30 + index)
                try await subject.store.append(written[job] ?? [], to: job)
            }
            let ends = try await subject.store.sync(jobs)
            let store = try await subject.reopen()
            #expect(try await store.jobs(after: nil, limit: 10) == jobs)
            for (job, samples) in written {
                #expect(ends[job] == UInt64(samples.count))
                #expect(try await store.end(of: job) == UInt64(samples.count))
                #expect(try await store.samples(MetricQuery(job: job)) == samples)
                #expect(try await store.statistics(of: job).samples == UInt64(samples.count))
                #expect(try await store.sync([job]) == [job: UInt64(samples.count)])
            }
        },
        .init(reopening: "a writer goes on where the reopened store ends") { subject in
            var metrics = SampleMetrics(seed: 33)
            let samples = metrics.samples(120)
            let job = JobID.random()
            var store = subject.store
            var synced = 0
            for (index, sample) in samples.enumerated() {
                try await store.append([sample], to: job)
                switch index % 10 {
                case 4:
                    _ = try await store.sync([job])
                    synced = index + 1
                case 9:
                    // What was not synced may be lost; the writer sends it again.
                    store = try await subject.reopen()
                    #expect(try await store.end(of: job) ?? 0 >= UInt64(synced))
                    try await store.append(Array(samples[...index]), to: job)
                default: break
                }
            }
            #expect(try await store.samples(MetricQuery(job: job)) == samples)
        },
        .init(reopening: "deleted samples stay deleted") { subject in
            let (written, unknown) = (JobID.random(), JobID.random())
            try await subject.store.append([MetricSample(0)], to: written)
            _ = try await subject.store.sync([written])
            try await subject.store.delete(written)
            try await subject.store.delete(unknown)
            let store = try await subject.reopen()
            #expect(try await store.jobs(after: nil, limit: 10) == [])
            await expectRefused { try await store.append([MetricSample(0)], to: written) }
            await expectRefused { try await store.append([MetricSample(0)], to: unknown) }
        },
    ]
}
