import Storage
import Testing

extension LogStoreBehaviour {
    static let appending: [Self] = [
        .init("what was appended is read back, in order, fragment by fragment") { store in
            var sample = SampleLog(seed: 1)
            let runs = sample.runs(40)
            let job = JobID.random()
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                #expect(try await store.end(of: job) == run.end)
                if index % 8 == 0 {
                    #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(Array(runs[...index])))
                }
            }
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
        },
        .init("fragments of different times stay apart") { store in
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            run.append(stream: .stdout, time: 5, bytes: "a".utf8)
            run.append(stream: .stdout, time: 6, bytes: "b".utf8)
            run.append(stream: .stderr, time: 6, bytes: "c".utf8)
            try await store.append(run, to: job)
            _ = try await store.sync([job])
            let page = try await store.read(LogQuery(job: job), after: .start, maxBytes: 100)
            #expect(page.fragments == run.fragments)
            #expect(page.bytes == run.bytes)
            #expect(page.isLast)
        },
        .init("a run that the store has is ignored") { store in
            var sample = SampleLog(seed: 2)
            let runs = sample.runs(10, gaps: false)
            let job = JobID.random()
            for run in runs {
                try await store.append(run, to: job)
                try await store.append(run, to: job)
            }
            try await store.append(runs, to: job)
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
        },
        .init("of a run that overlaps the end only the rest is added") { store in
            var sample = SampleLog(seed: 3)
            let whole = sample.run(fragments: 60, gaps: false)
            let job = JobID.random()
            var end: UInt64 = 0
            for position in stride(from: UInt64(7), to: whole.end, by: 331) {
                // Begins below the end and is cut behind it, both often inside a fragment.
                let run = whole.dropping(before: end - end / 3).prefix(upTo: position)
                try await store.append(run, to: job)
                #expect(try await store.end(of: job) == position)
                end = position
            }
            try await store.append(whole, to: job)
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript([whole]))
        },
        .init("a run that begins behind the end is refused and changes nothing") { store in
            let job = JobID.random()
            await #expect(throws: StorageError.gap(expected: 0)) {
                try await store.append(FragmentRun("late", at: 1), to: job)
            }
            #expect(try await store.end(of: job) == nil)
            try await store.append(FragmentRun("first"), to: job)
            await #expect(throws: StorageError.gap(expected: 5)) {
                try await store.append(FragmentRun("late", at: 6), to: job)
            }
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript([FragmentRun("first")]))
        },
        .init("an empty run does nothing") { store in
            let job = JobID.random()
            try await store.append(FragmentRun(start: 0), to: job)
            #expect(try await store.end(of: job) == nil)
            await #expect(throws: StorageError.notFound) {
                try await store.read(LogQuery(job: job), after: .start, maxBytes: 1)
            }
        },
        .init("gap notes are kept where they were, and once") { store in
            let job = JobID.random()
            var first = FragmentRun(start: 0)
            first.appendGap(stream: .stderr, time: 1, dropped: 10)
            first.append(stream: .stdout, time: 2, bytes: "abc".utf8)
            first.appendGap(stream: .stdout, time: 3, dropped: .max)
            var second = FragmentRun(start: 3)
            second.appendGap(stream: .stdout, time: 4, dropped: 7)
            second.append(stream: .stderr, time: 5, bytes: "d".utf8)
            try await store.append(first, to: job)
            try await store.append(first, to: job)
            _ = try await store.sync([job])
            try await store.append(first, to: job)
            try await store.append(second, to: job)
            try await store.append(second, to: job)
            let page = try await store.read(LogQuery(job: job), after: .start, maxBytes: 100)
            #expect(page.fragments == first.fragments + second.fragments)
            #expect(page.bytes == Array("abcd".utf8))
            #expect(page.next == LogCursor(position: 4))
        },
        .init("skip gives up lost bytes with a note, and runs go on behind them") { store in
            let job = JobID.random()
            try await store.append(FragmentRun("kept\n"), to: job)
            try await store.skip(to: 100, of: job, time: 8)
            try await store.skip(to: 100, of: job, time: 9)
            try await store.skip(to: 50, of: job, time: 9)
            #expect(try await store.end(of: job) == 100)
            try await store.append(FragmentRun("on\n", at: 100, time: 9), to: job)
            let page = try await store.read(LogQuery(job: job), after: .start, maxBytes: 100)
            #expect(
                page.fragments == [
                    Fragment(stream: .stdout, position: 0, time: 1, content: .bytes(count: 5)),
                    Fragment(stream: .stdout, position: 100, time: 8, content: .dropped(bytes: 95)),
                    Fragment(stream: .stdout, position: 100, time: 9, content: .bytes(count: 3)),
                ])
            #expect(page.bytes == Array("kept\non\n".utf8))
            #expect(try await store.statistics(of: job).bytes == 8)
        },
        .init("skip begins a log whose first bytes are lost") { store in
            let job = JobID.random()
            try await store.skip(to: 4096, of: job, time: 8)
            try await store.append(FragmentRun("x", at: 4096, time: 9), to: job)
            #expect(try await store.sync([job]) == [job: 4097])
            let page = try await store.read(LogQuery(job: job), after: .start, maxBytes: 100)
            #expect(page.fragments.map(\.position) == [4096, 4096])
            #expect(page.isLast)
        },
        .init("a huge run is taken whole") { store in
            var sample = SampleLog(seed: 4)
            let job = JobID.random()
            let runs = [sample.lines(bytes: 5_000_000), sample.lines(bytes: 3_000_001, stream: .stderr)]
            try await store.append(runs, to: job)
            #expect(try await store.sync([job]) == [job: 8_000_001])
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(runs))
        },
        .init("bytes of every value survive") { store in
            var run = FragmentRun(start: 0)
            run.append(stream: .stdout, time: .max, bytes: (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167) })
            run.append(stream: .stderr, time: .min, bytes: [0])
            let job = JobID.random()
            try await store.append(run, to: job)
            _ = try await store.sync([job])
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript([run]))
        },
        .init("writers of different jobs lose nothing") { store in
            let jobs = (0..<24).map { _ in JobID.random() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, job) in jobs.enumerated() {
                    group.addTask {
                        var sample = SampleLog(seed: UInt64(100 + index))
                        for run in sample.runs(30) {
                            try await store.append(run, to: job)
                            if run.end % 5 == 0 { _ = try await store.sync([job]) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for (index, job) in jobs.enumerated() {
                var sample = SampleLog(seed: UInt64(100 + index))
                #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript(sample.runs(30)))
            }
        },
    ]
}

extension FragmentRun {
    /// The part of the run below `position`.
    func prefix(upTo position: UInt64) -> FragmentRun {
        var part = FragmentRun(start: start)
        forEach { fragment, bytes in
            guard fragment.position < position else { return }
            part.append(
                stream: fragment.stream, time: fragment.time, bytes: bytes.prefix(Int(position - fragment.position)))
        }
        return part
    }
}
