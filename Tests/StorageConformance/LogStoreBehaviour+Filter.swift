import Storage
import Testing

extension LogStoreBehaviour {
    static let filters: [Self] = [
        .init("a text filter passes the lines that contain it, each stream for itself") { store in
            var sample = SampleLog(seed: 90)
            let job = JobID.random()
            let runs = sample.runs(120)
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                if index % 17 == 0 { _ = try await store.sync([job]) }
            }
            let whole = Transcript(runs)
            for text in ["a", "Qz", "~", "\u{7f}"] {
                let pattern = try #require(LinePattern(text))
                for streams: Set<LogStream> in [[.stdout], [.stderr], [.stdout, .stderr]] {
                    let query = LogQuery(job: job, streams: streams, grep: pattern)
                    for maxBytes in [1, 4096, 1 << 20] {
                        let found = try await store.transcript(of: query, maxBytes: maxBytes)
                        let visible = whole.filtered(query)
                        for stream in streams {
                            let expected = visible.lines(of: stream).filter { $0.text.contains(text.utf8) }
                            #expect(found.lines(of: stream) == expected, "\(text) of \(stream)")
                        }
                        #expect(found.fragments.filter { $0.count == 0 } == visible.fragments.filter { $0.count == 0 })
                        let positions = found.fragments.map(\.position)
                        #expect(positions == positions.sorted())
                    }
                }
            }
        },
        .init("a text filter finds a line across fragments, blocks and pages") { store in
            var sample = SampleLog(seed: 91)
            let job = JobID.random()
            var runs = [sample.lines(bytes: 1_048_570)]
            for part in ["nee", "d", "le and more\nnext\n", "a needle", " without end"] {
                var run = FragmentRun(start: runs.last?.end ?? 0)
                run.append(stream: .stdout, time: .max, bytes: part.utf8)
                runs.append(run)
            }
            // The cut of the first run leaves the beginning of its last line before the needle.
            try await store.append(runs, to: job)
            _ = try await store.sync([job])
            let pattern = try #require(LinePattern("needle"))
            let expected = Transcript(runs).lines(of: .stdout).filter { $0.text.contains(pattern.bytes) }
            #expect(expected.count == 2)
            for maxBytes in [10, 1 << 20] {
                let found = try await store.transcript(of: LogQuery(job: job, grep: pattern), maxBytes: maxBytes)
                #expect(found.lines(of: .stdout) == expected)
            }
        },
        .init("a line that goes on can wait for its end") { store in
            let job = JobID.random()
            let pattern = try #require(LinePattern("key"))
            try await store.append(FragmentRun("a key\nno\nthe ke"), to: job)
            var query = LogQuery(job: job, grep: pattern)
            query.endsLines = false
            let first = try await store.read(query, after: .start, maxBytes: 100)
            #expect(first.bytes == Array("a key\n".utf8))
            #expect(first.isLast)
            #expect(first.next == LogCursor(position: 9))
            try await store.append(FragmentRun("y is here\n", at: 15, time: 2), to: job)
            let second = try await store.read(query, after: first.next, maxBytes: 100)
            #expect(second.bytes == Array("the key is here\n".utf8))
            #expect(second.fragments.map(\.time) == [1, 2])
        },
        .init("a text filter is bounded by times and the end position") { store in
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            for time in 1...9 { run.append(stream: .stdout, time: Int64(time), bytes: "key \(time)\n".utf8) }
            try await store.append(run, to: job)
            var query = LogQuery(job: job, since: 3, until: 7, endPosition: 33, grep: LinePattern("key"))
            let page = try await store.read(query, after: LogCursor(position: 12), maxBytes: 100)
            #expect(String(decoding: page.bytes, as: UTF8.self) == "key 3\nkey 4\nkey 5\nkey")
            query.endsLines = false
            let whole = try await store.read(query, after: LogCursor(position: 12), maxBytes: 100)
            #expect(String(decoding: whole.bytes, as: UTF8.self) == "key 3\nkey 4\nkey 5\n")
            #expect(whole.next == LogCursor(position: 30))
        },
        .init("a very long line is looked at in pieces, and holds up no other") { store in
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            run.append(stream: .stdout, time: 1, bytes: "prompt> ".utf8)
            for time in 2..<60 {
                run.append(stream: .stderr, time: Int64(time), bytes: [UInt8](repeating: 0x2e, count: 100_000))
                run.append(stream: .stderr, time: Int64(time), bytes: " key \(time)\n".utf8)
            }
            run.append(stream: .stdout, time: 60, bytes: [UInt8](repeating: 0x2d, count: 3 << 20))
            run.append(stream: .stdout, time: 61, bytes: "key".utf8)
            try await store.append(run, to: job)
            let found = try await store.transcript(of: LogQuery(job: job, grep: LinePattern("key")))
            #expect(found.lines(of: .stderr).count == 58)
            let stdout = found.bytes(of: .stdout)
            #expect(stdout.suffix(3) == Array("key".utf8)[...])
            #expect(stdout.count <= (1 << 20) + 3)
        },
        .init("the last lines that match are found") { store in
            var sample = SampleLog(seed: 92)
            let job = JobID.random()
            let runs = sample.runs(150)
            try await store.append(runs, to: job)
            let lines = Transcript(runs).lines(of: .stdout)
            let query = LogQuery(job: job, streams: [.stdout], grep: LinePattern("Z"))
            let matching = lines.filter { $0.text.contains(UInt8(ascii: "Z")) }
            #expect(matching.count > 20)
            for count in [0, 1, 5, matching.count, matching.count + 5, .max] {
                let cursor = try await store.cursor(forLast: count, of: query)
                guard let first = matching.suffix(count).first else { continue }
                #expect(cursor.position <= first.position, "the last \(count)")
            }
        },
    ]
}
