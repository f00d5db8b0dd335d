public import Storage
import Testing

extension LogStoreBehaviour {
    static let retention = usages + trimming

    private static let usages: [Self] = [
        .init("usages tell what each job takes, in order, page by page") { store in
            let jobs = (0..<9).map { _ in JobID.random() }.sorted()
            for (index, job) in jobs.enumerated() {
                var sample = SampleLog(seed: UInt64(60 + index))
                try await store.append(sample.runs(5 + index), to: job)
                if index % 2 == 0 { _ = try await store.sync([job]) }
            }
            try await store.delete(jobs[3])
            let left = jobs.filter { $0 != jobs[3] }
            let usages = try await store.usages(after: nil, limit: 100)
            #expect(usages.map(\.job) == left)
            for usage in usages {
                let statistics = try await store.statistics(of: usage.job)
                #expect(usage.storedBytes == statistics.storedBytes)
                #expect(usage.times == statistics.times)
            }
            #expect(try await store.usages(after: left[2], limit: 3) == Array(usages[3..<6]))
            #expect(try await store.usages(after: left.last, limit: 3) == [])
        }
    ]

    private static let trimming: [Self] = [
        .init("a trimmed log keeps its newest part, behind a note of what is gone") { store in
            for size: UInt64 in [900_000, 300_000, 40_000, 2_000] {
                let job = JobID.random()
                let runs = SampleLog.largeRuns(seed: size)
                try await store.append(runs, to: job)
                _ = try await store.sync([job])
                let left = try await store.trim(job, to: size)
                #expect(left <= size)
                #expect(try await store.statistics(of: job).storedBytes == left)
                try await store.expectTrimmed(job, runs, isEmpty: false)
            }
        },
        .init("a log that is trimmed to nothing is a note") { store in
            let job = JobID.random()
            var sample = SampleLog(seed: 50)
            let runs = sample.runs(30)
            try await store.append(runs, to: job)
            #expect(try await store.trim(job, to: 0) < 1000)
            let transcript = try await store.expectTrimmed(job, runs, isEmpty: true)
            #expect(transcript.fragments.count == 1)
        },
        .init("a log that fits is not trimmed") { store in
            let job = JobID.random()
            var sample = SampleLog(seed: 51)
            let runs = sample.runs(30)
            try await store.append(runs, to: job)
            _ = try await store.sync([job])
            let stored = try await store.statistics(of: job).storedBytes
            #expect(try await store.trim(job, to: stored) == stored)
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
            let unknown = JobID.random()
            await #expect(throws: StorageError.notFound) { _ = try await store.trim(unknown, to: 1) }
        },
        .init("a trimmed log is trimmed again, and goes on") { store in
            let job = JobID.random()
            var runs = SampleLog.largeRuns(seed: 52)
            try await store.append(runs, to: job)
            for size: UInt64 in [800_000, 500_000, 499_000, 100_000] {
                _ = try await store.trim(job, to: size)
                try await store.expectTrimmed(job, runs, isEmpty: false)
            }
            let end = runs.last?.end ?? 0
            await #expect(throws: StorageError.gap(expected: end)) {
                try await store.append(FragmentRun("late", at: end + 1, time: .max), to: job)
            }
            runs.append(FragmentRun("and on\n", at: end, time: .max))
            try await store.append(runs, to: job)
            #expect(try await store.sync([job]) == [job: end + 7])
            try await store.expectTrimmed(job, runs, isEmpty: false)
        },
        .init("what is left of a trimmed log is found by time, stream, position and line") { store in
            let job = JobID.random()
            let runs = SampleLog.largeRuns(seed: 53)
            try await store.append(runs, to: job)
            _ = try await store.trim(job, to: 600_000)
            let left = try await store.transcript(of: LogQuery(job: job))
            let middle = left.fragments[left.fragments.count / 2]
            for query in [
                LogQuery(job: job, since: middle.time), LogQuery(job: job, until: middle.time),
                LogQuery(job: job, streams: [.stderr]), LogQuery(job: job, streams: [.stdout]),
                LogQuery(job: job, endPosition: middle.position),
            ] {
                #expect(try await store.transcript(of: query) == left.filtered(query))
            }
            let lines = left.lines(of: .stdout)
            let cursor = try await store.cursor(forLast: 3, of: LogQuery(job: job, streams: [.stdout]))
            #expect(cursor.position <= lines[lines.count - 3].position)
        },
        .init("gap notes at the end stay where a log is trimmed") { store in
            let job = JobID.random()
            var runs = SampleLog.largeRuns(seed: 54)
            var notes = FragmentRun(start: runs.last?.end ?? 0)
            for time in 0..<3 { notes.appendGap(stream: .stderr, time: .max - 3 + Int64(time), dropped: 9) }
            runs.append(notes)
            try await store.append(runs, to: job)
            _ = try await store.sync([job])
            _ = try await store.trim(job, to: 500_000)
            try await store.append(notes, to: job)
            let transcript = try await store.expectTrimmed(job, runs, isEmpty: false)
            #expect(transcript.fragments.suffix(3) == notes.fragments[...])
        },
        .init(reopening: "a trimmed log stays trimmed") { subject in
            let job = JobID.random()
            let runs = SampleLog.largeRuns(seed: 55)
            try await subject.store.append(runs, to: job)
            let left = try await subject.store.trim(job, to: 400_000)
            let before = try await subject.store.transcript(of: LogQuery(job: job))
            let store = try await subject.reopen()
            #expect(try await store.statistics(of: job).storedBytes == left)
            #expect(try await store.transcript(of: LogQuery(job: job)) == before)
            #expect(try await store.end(of: job) == runs.last?.end)
        },
    ]
}

extension SampleLog {
    /// Runs of about 16 KB each that hardly compress, of both streams, with gap notes and times that grow.
    public static func largeRuns(seed: UInt64, count: Int = 90) -> [FragmentRun] {
        var sample = SampleLog(seed: seed)
        return (0..<count).map { _ in sample.run(fragments: 200) }
    }
}

extension LogStore {
    /// Fails where a log is not the end of `runs` behind one note of everything before; returns what is left.
    @discardableResult
    func expectTrimmed(_ job: JobID, _ runs: [FragmentRun], isEmpty: Bool) async throws -> Transcript {
        let whole = Transcript(runs)
        let end = runs.last?.end ?? 0
        let left = try await transcript(of: LogQuery(job: job))
        #expect(try await self.end(of: job) == end)
        let note = try #require(left.fragments.first)
        #expect(note.stream == .stdout)
        #expect(note.content == .dropped(bytes: note.position))
        #expect(left.bytes == whole.bytes.suffix(Int(end - note.position)))
        #expect(left.bytes.isEmpty == isEmpty)
        // The first fragment may be a part, and gap notes exactly at the place of the cut may be gone.
        let kept = left.fragments.dropFirst().drop { $0.position == note.position }
        #expect(kept == whole.fragments.suffix(kept.count)[...])
        let times = left.fragments.map(\.time)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 })
        return left
    }
}
