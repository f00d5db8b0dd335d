import Storage
import Testing

extension MetricStoreBehaviour {
    static let appending: [Self] = [
        .init("what was appended is read back, in order") { store in
            var metrics = SampleMetrics(seed: 1)
            let job = JobID.random()
            var written: [MetricSample] = []
            for (index, run) in metrics.runs(40).enumerated() {
                try await store.append(run, to: job)
                written += run
                #expect(try await store.end(of: job) == UInt64(written.count))
                if index % 7 == 0 { _ = try await store.sync([job]) }
                if index % 8 == 0 { #expect(try await store.samples(MetricQuery(job: job)) == written) }
            }
            #expect(try await store.samples(MetricQuery(job: job)) == written)
        },
        .init("samples that the store has are ignored") { store in
            var metrics = SampleMetrics(seed: 2)
            let samples = metrics.samples(60)
            let job = JobID.random()
            for end in stride(from: 3, to: 60, by: 7) {
                // Begins below the end: only the rest is added.
                try await store.append(Array(samples[max(0, end - 10)..<end]), to: job)
                try await store.append(Array(samples[..<end]), to: job)
                #expect(try await store.end(of: job) == UInt64(end))
                if end % 2 == 0 { _ = try await store.sync([job]) }
            }
            try await store.append(samples, to: job)
            try await store.append(Array(samples[5..<9]), to: job)
            #expect(try await store.samples(MetricQuery(job: job)) == samples)
        },
        .init("samples that begin behind the end are refused and change nothing") { store in
            let job = JobID.random()
            await #expect(throws: StorageError.gap(expected: 0)) { try await store.append([MetricSample(1)], to: job) }
            #expect(try await store.end(of: job) == nil)
            try await store.append([MetricSample(0)], to: job)
            await #expect(throws: StorageError.gap(expected: 1)) {
                try await store.append([MetricSample(2), MetricSample(3)], to: job)
            }
            #expect(try await store.samples(MetricQuery(job: job)) == [MetricSample(0)])
        },
        .init("no samples do nothing") { store in
            let job = JobID.random()
            try await store.append([], to: job)
            #expect(try await store.end(of: job) == nil)
            await #expect(throws: StorageError.notFound) {
                try await store.read(MetricQuery(job: job), from: 0, limit: 1)
            }
        },
        .init("names, labels and values survive as they are") { store in
            let job = JobID.random()
            let sample = MetricSample(
                sequence: 0, time: .max,
                points: [
                    MetricPoint(
                        type: .gpu,
                        labels: ["gpu": "0", "naïve \"name\"\\": "tab\tline\nnul\u{0}end\u{1F600}", "": ""],
                        values: [
                            "zero": 0, "negative": -1.5, "tiny": .leastNonzeroMagnitude,
                            "huge": .greatestFiniteMagnitude,
                            "third": 1.0 / 3, "whole": 9_007_199_254_740_991, "ü\n": 1e15, "": -123_456_789,
                        ]),
                    MetricPoint(type: .network, values: [:]),
                ])
            try await store.append([sample], to: job)
            #expect(try await store.samples(MetricQuery(job: job)) == [sample])
            _ = try await store.sync([job])
            #expect(try await store.samples(MetricQuery(job: job)) == [sample])
        },
        .init("a sample without points is a sample") { store in
            let job = JobID.random()
            let samples = (0..<3).map { MetricSample(sequence: $0, time: 5, points: []) }
            try await store.append(samples, to: job)
            #expect(try await store.sync([job]) == [job: 3])
            #expect(try await store.samples(MetricQuery(job: job)) == samples)
            #expect(try await store.samples(MetricQuery(job: job, types: [.cpu])) == [])
        },
        .init("skip gives up what is lost, and samples go on behind it") { store in
            let job = JobID.random()
            try await store.append([MetricSample(0)], to: job)
            try await store.skip(to: 50, of: job)
            try await store.skip(to: 20, of: job)
            #expect(try await store.end(of: job) == 50)
            await #expect(throws: StorageError.gap(expected: 50)) {
                try await store.append([MetricSample(51)], to: job)
            }
            try await store.append([MetricSample(48), MetricSample(49), MetricSample(50)], to: job)
            #expect(try await store.sync([job]) == [job: 51])
            #expect(try await store.samples(MetricQuery(job: job)).map(\.sequence) == [0, 50])
            #expect(try await store.samples(MetricQuery(job: job), from: 7, pages: 1).map(\.sequence) == [50])
            #expect(try await store.statistics(of: job).samples == 2)
        },
        .init("skip begins a job whose first samples are lost") { store in
            let job = JobID.random()
            try await store.skip(to: 7, of: job)
            #expect(try await store.jobs(after: nil, limit: 9) == [])
            await #expect(throws: StorageError.notFound) { try await store.statistics(of: job) }
            try await store.append([MetricSample(7)], to: job)
            #expect(try await store.sync([job]) == [job: 8])
            #expect(try await store.samples(MetricQuery(job: job)).map(\.sequence) == [7])
        },
        .init("a great many samples are taken at once") { store in
            var metrics = SampleMetrics(seed: 4)
            let samples = metrics.samples(3000)
            let job = JobID.random()
            try await store.append(samples, to: job)
            #expect(try await store.sync([job]) == [job: 3000])
            #expect(try await store.samples(MetricQuery(job: job), pages: 700) == samples)
        },
        .init("writers of different jobs lose nothing") { store in
            let jobs = (0..<16).map { _ in JobID.random() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, job) in jobs.enumerated() {
                    group.addTask {
                        var metrics = SampleMetrics(seed: UInt64(100 + index))
                        for run in metrics.runs(20) {
                            try await store.append(run, to: job)
                            if run.count % 3 == 0 { _ = try await store.sync([job]) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for (index, job) in jobs.enumerated() {
                var metrics = SampleMetrics(seed: UInt64(100 + index))
                #expect(try await store.samples(MetricQuery(job: job)) == Array(metrics.runs(20).joined()))
            }
        },
    ]
}
