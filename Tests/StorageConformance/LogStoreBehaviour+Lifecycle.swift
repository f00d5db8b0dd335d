import Storage
import Testing

extension LogStoreBehaviour {
    static let lifecycle: [Self] = [
        .init("sync answers with the end of each job it knows") { store in
            let (known, unknown) = (JobID.random(), JobID.random())
            try await store.append(FragmentRun("abc"), to: known)
            #expect(try await store.sync([known, unknown]) == [known: 3])
            #expect(try await store.sync([known]) == [known: 3])
            #expect(try await store.sync([]) == [:])
        },
        .init("appending goes on after sync and after finish") { store in
            var sample = SampleLog(seed: 30)
            let runs = sample.runs(40)
            let job = JobID.random()
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                if index % 3 == 0 { #expect(try await store.sync([job]) == [job: run.end]) }
                if index % 7 == 0 { try await store.finish(job) }
            }
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
        },
        .init("finishing a job that is not known is no error") { store in
            let job = JobID.random()
            try await store.finish(job)
            #expect(try await store.end(of: job) == nil)
        },
        .init("a deleted log is gone, and its job's runs are refused") { store in
            let job = JobID.random()
            let other = JobID.random()
            try await store.append(FragmentRun("abc"), to: job)
            try await store.append(FragmentRun("other"), to: other)
            _ = try await store.sync([job, other])
            try await store.append(FragmentRun("def", at: 3), to: job)
            try await store.delete(job)
            await #expect(throws: StorageError.notFound) {
                try await store.read(LogQuery(job: job), after: .start, maxBytes: 10)
            }
            await expectRefused { try await store.append(FragmentRun("def", at: 3), to: job) }
            await expectRefused { try await store.append(FragmentRun("abc"), to: job) }
            await expectRefused { try await store.skip(to: 9, of: job, time: 1) }
            #expect(try await store.end(of: job) == nil)
            #expect(try await store.sync([job]) == [:])
            try await store.finish(job)
            #expect(try await store.jobs(after: nil, limit: 10) == [other])
            #expect(try await store.transcript(of: LogQuery(job: other)).bytes == Array("other".utf8))
        },
        .init("deleting what is not there is no error, and refuses later runs") { store in
            let job = JobID.random()
            try await store.delete(job)
            try await store.delete(job)
            await expectRefused { try await store.append(FragmentRun("abc"), to: job) }
        },
        .init("the jobs that have a log are listed in order, page by page") { store in
            let jobs = (0..<25).map { _ in JobID.random() }.sorted()
            for (index, job) in jobs.enumerated() {
                try await store.append(FragmentRun("abc"), to: job)
                if index % 2 == 0 { _ = try await store.sync([job]) }
            }
            #expect(try await store.jobs(after: nil, limit: 100) == jobs)
            #expect(try await store.jobs(after: nil, limit: 7) == Array(jobs[..<7]))
            #expect(try await store.jobs(after: jobs[6], limit: 7) == Array(jobs[7..<14]))
            #expect(try await store.jobs(after: jobs[24], limit: 7) == [])
        },
        .init("statistics count what was written") { store in
            var sample = SampleLog(seed: 31)
            let runs = sample.runs(50)
            let job = JobID.random()
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                if index == 25 { _ = try await store.sync([job]) }
            }
            let whole = Transcript(runs)
            let statistics = try await store.statistics(of: job)
            #expect(statistics.bytes == UInt64(whole.bytes.count))
            #expect(statistics.lines == UInt64(whole.bytes.count { $0 == UInt8(ascii: "\n") }))
            #expect(statistics.storedBytes > 0)
            let times = whole.fragments.map(\.time)
            #expect(statistics.times?.lowerBound == times.min())
            #expect(statistics.times?.upperBound == times.max())
        },
        .init(reopening: "what was synced outlives the store") { subject in
            var sample = SampleLog(seed: 32)
            let jobs = (0..<5).map { _ in JobID.random() }.sorted()
            var logs: [JobID: [FragmentRun]] = [:]
            for job in jobs {
                sample = SampleLog(seed: sample.next())
                let runs = sample.runs(30)
                logs[job] = runs
                try await subject.store.append(runs, to: job)
            }
            let ends = try await subject.store.sync(jobs)
            let store = try await subject.reopen()
            #expect(try await store.jobs(after: nil, limit: 10) == jobs)
            for (job, runs) in logs {
                #expect(ends[job] == runs.last?.end)
                #expect(try await store.end(of: job) == runs.last?.end)
                #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
                #expect(try await store.sync([job]) == [job: runs.last?.end ?? 0])
            }
        },
        .init(reopening: "a writer goes on where the reopened store ends") { subject in
            var sample = SampleLog(seed: 33)
            let runs = sample.runs(60)
            let job = JobID.random()
            var store = subject.store
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                switch index % 10 {
                case 4: _ = try await store.sync([job])
                case 9:
                    // What was not synced may be lost; the writer sends it again.
                    store = try await subject.reopen()
                    let end = try await store.end(of: job) ?? 0
                    #expect(end >= runs[index - 5].end)
                    try await store.append(Array(runs[...index]), to: job)
                default: break
                }
            }
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
        },
        .init(reopening: "a deleted log stays deleted") { subject in
            let (written, unknown) = (JobID.random(), JobID.random())
            try await subject.store.append(FragmentRun("abc"), to: written)
            _ = try await subject.store.sync([written])
            try await subject.store.delete(written)
            try await subject.store.delete(unknown)
            let store = try await subject.reopen()
            #expect(try await store.jobs(after: nil, limit: 10) == [])
            await expectRefused { try await store.append(FragmentRun("abc"), to: written) }
            await expectRefused { try await store.append(FragmentRun("abc"), to: unknown) }
        },
    ]
}

/// Fails where `body` does not throw `StorageError.refused`.
func expectRefused(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record("was not refused", sourceLocation: sourceLocation)
    } catch StorageError.refused {
        return
    } catch {
        Issue.record("threw \(error) rather than refused", sourceLocation: sourceLocation)
    }
}
