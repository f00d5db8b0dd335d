import Foundation
import Storage
import Testing

/// MiB that are written while a reader stops: `JOBLET_STALL_MEGABYTES`.
private let stallMegabytes =
    ProcessInfo.processInfo.environment["JOBLET_STALL_MEGABYTES"].flatMap { Int($0) }.map { max(2, $0) } ?? 32

extension LogStoreBehaviour {
    static let reading: [Self] = [
        .init("pages hold exactly what fits, and follow each other without gap or repeat") { store in
            var sample = SampleLog(seed: 10)
            let runs = sample.runs(20, gaps: false)
            let job = JobID.random()
            try await store.append(runs, to: job)
            let end = runs.last?.end ?? 0
            for maxBytes in [1, 7, 100, 1000, Int(end) - 1, Int(end), Int(end) + 1, Int.max] {
                var cursor = LogCursor.start
                var transcript = Transcript()
                var page: LogPage
                repeat {
                    page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: maxBytes)
                    #expect(page.bytes.count == min(maxBytes, Int(end - cursor.position)))
                    #expect(page.bytes.count == page.fragments.reduce(0) { $0 + $1.count })
                    #expect(page.next == LogCursor(position: cursor.position + UInt64(page.bytes.count)))
                    #expect(page.isLast == (page.next.position == end))
                    page.forEach { transcript.add($0, $1) }
                    cursor = page.next
                } while !page.isLast && !page.bytes.isEmpty
                #expect(transcript == Transcript(runs))
            }
        },
        .init("a page holds at least one byte, whatever was asked") { store in
            let job = JobID.random()
            try await store.append(FragmentRun("abc"), to: job)
            for maxBytes in [0, -5] {
                let page = try await store.read(LogQuery(job: job), after: .start, maxBytes: maxBytes)
                #expect(page.bytes == Array("a".utf8))
                #expect(!page.isLast)
            }
        },
        .init("behind the end a page is empty, and the last") { store in
            let job = JobID.random()
            try await store.append(FragmentRun("abc"), to: job)
            for cursor in [LogCursor(position: 3), LogCursor(position: 3, gaps: 4), LogCursor(position: 900)] {
                let page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: 10)
                #expect(page == LogPage(next: cursor, isLast: true))
            }
        },
        .init("a reader at the end goes on where the writer does") { store in
            var sample = SampleLog(seed: 11)
            let job = JobID.random()
            var transcript = Transcript()
            var cursor = LogCursor.start
            let runs = sample.runs(30)
            for run in runs {
                try await store.append(run, to: job)
                var page: LogPage
                repeat {
                    page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: 64)
                    page.forEach { transcript.add($0, $1) }
                    cursor = page.next
                } while !page.isLast
            }
            #expect(transcript == Transcript(runs))
        },
        .init("a reader that stops while a great deal is written goes on where it was") { store in
            let job = JobID.random()
            var sample = SampleLog(seed: 12)
            let text = sample.lines(bytes: 1 << 20).bytes
            func write(_ numbers: Range<Int>) async throws {
                for number in numbers {
                    var run = FragmentRun(start: UInt64(number * text.count))
                    run.append(stream: .stdout, time: Int64(number), bytes: text)
                    try await store.append(run, to: job)
                    if number % 8 == 7 { _ = try await store.sync([job]) }
                }
            }
            try await write(0..<1)
            var page = try await store.read(LogQuery(job: job), after: .start, maxBytes: 100_000)
            try await write(1..<stallMegabytes)
            var position = 0
            while true {
                // A page may reach into the next repetition of the text.
                let start = position % text.count
                let end = min(text.count, start + page.bytes.count)
                try #require(page.bytes == Array(text[start..<end] + text[..<(start + page.bytes.count - end)]))
                position += page.bytes.count
                if page.isLast { break }
                page = try await store.read(LogQuery(job: job), after: page.next, maxBytes: 900_000)
            }
            #expect(position == stallMegabytes * text.count)
        },
        .init("a cursor counts the gap notes that were read") { store in
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            run.append(stream: .stdout, time: 1, bytes: "ab".utf8)
            for time in 2..<5 { run.appendGap(stream: .stderr, time: Int64(time), dropped: 1) }
            run.append(stream: .stdout, time: 6, bytes: "cd".utf8)
            try await store.append(run.prefix(upTo: 2), to: job)
            for note in run.fragments[1..<4] {
                var part = FragmentRun(start: 2)
                part.appendGap(stream: note.stream, time: note.time, dropped: 1)
                try await store.append(part, to: job)
                _ = try await store.sync([job])
            }
            try await store.append(run, to: job)
            for gaps in 0...3 {
                let page = try await store.read(
                    LogQuery(job: job), after: LogCursor(position: 2, gaps: gaps), maxBytes: 10)
                #expect(page.fragments == Array(run.fragments[(1 + gaps)...]))
                #expect(page.next == LogCursor(position: 4))
            }
            let stop = try await store.read(LogQuery(job: job, endPosition: 2), after: .start, maxBytes: 10)
            #expect(stop.bytes == Array("ab".utf8))
            #expect(stop.fragments.count == 1)
            #expect(stop.next == LogCursor(position: 2))
            #expect(stop.isLast)
        },
        .init("streams, times and the end position narrow what is read") { store in
            var sample = SampleLog(seed: 12)
            let runs = sample.runs(60)
            let job = JobID.random()
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                if index % 9 == 0 { _ = try await store.sync([job]) }
            }
            let whole = Transcript(runs)
            let times = whole.fragments.map(\.time)
            let end = runs.last?.end ?? 0
            var queries = [
                LogQuery(job: job, streams: [.stdout]), LogQuery(job: job, streams: [.stderr]),
                LogQuery(job: job, streams: []), LogQuery(job: job, since: .min, until: .max),
                LogQuery(job: job, since: 10, until: 9), LogQuery(job: job, until: times[0]),
                LogQuery(job: job, since: times[times.count - 1]), LogQuery(job: job, endPosition: 0),
            ]
            for _ in 0..<40 {
                let since = times[Int.random(in: times.indices, using: &sample)]
                let until = times[Int.random(in: times.indices, using: &sample)]
                let sets: [Set<LogStream>] = [[.stdout], [.stderr], [.stdout, .stderr]]
                let position = UInt64.random(in: 0...end + 9, using: &sample)
                queries.append(
                    LogQuery(
                        job: job, streams: sets[Int.random(in: 0..<3, using: &sample)],
                        since: Bool.random(using: &sample) ? since - Int64(sample.next() % 2) : nil,
                        until: Bool.random(using: &sample) ? until + Int64(sample.next() % 2) : nil,
                        endPosition: Bool.random(using: &sample) ? position : nil))
            }
            for query in queries {
                let maxBytes = [1, 50, 4096, 1 << 20].randomElement(using: &sample) ?? 1
                #expect(try await store.transcript(of: query, maxBytes: maxBytes) == whole.filtered(query), "\(query)")
            }
        },
        .init("reading begins at any position") { store in
            var sample = SampleLog(seed: 13)
            let runs = sample.runs(12, gaps: false)
            let job = JobID.random()
            try await store.append(runs, to: job)
            let whole = Transcript(runs)
            for position in stride(from: 0, through: runs.last?.end ?? 0, by: 97) {
                let rest = try await store.transcript(of: LogQuery(job: job), after: LogCursor(position: position))
                #expect(rest.bytes == Array(whole.bytes[Int(position)...]))
            }
        },
        .init("a page of gap notes is bounded") { store in
            let job = JobID.random()
            let count = LogPage.maximumFragments + 10
            var run = FragmentRun(start: 0)
            for time in 0..<count { run.appendGap(stream: .stdout, time: Int64(time), dropped: 1) }
            try await store.append(run, to: job)
            let first = try await store.read(LogQuery(job: job), after: .start, maxBytes: 1)
            #expect(first.fragments.count == LogPage.maximumFragments)
            #expect(!first.isLast)
            let second = try await store.read(LogQuery(job: job), after: first.next, maxBytes: 1)
            #expect(second.fragments == Array(run.fragments.suffix(10)))
            #expect(second.next == LogCursor(position: 0, gaps: count))
            #expect(second.isLast)
        },
        .init("a log that is not there is not found") { store in
            let job = JobID.random()
            await #expect(throws: StorageError.notFound) {
                try await store.read(LogQuery(job: job), after: .start, maxBytes: 1)
            }
            await #expect(throws: StorageError.notFound) {
                try await store.cursor(forLast: 1, of: LogQuery(job: job))
            }
            await #expect(throws: StorageError.notFound) { try await store.statistics(of: job) }
            let end = try await store.end(of: job)
            #expect(end == nil)
        },
        .init("a cancelled reader stops, and harms no other") { store in
            var sample = SampleLog(seed: 14)
            let run = sample.lines(bytes: 300_000)
            let job = JobID.random()
            try await store.append(run, to: job)
            let reader = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await store.read(LogQuery(job: job), after: .start, maxBytes: 1 << 20)
            }
            await #expect(throws: StorageError.cancelled) { try await reader.value }
            #expect(try await store.transcript(of: LogQuery(job: job)) == Transcript([run]))
        },
    ]

    static let tails: [Self] = [
        .init("the cursor for the last lines loses none of them") { store in
            var sample = SampleLog(seed: 20)
            let runs = sample.runs(80)
            let job = JobID.random()
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: job)
                if index % 11 == 0 { _ = try await store.sync([job]) }
            }
            let end = runs.last?.end ?? 0
            let whole = Transcript(runs)
            let queries = [
                LogQuery(job: job), LogQuery(job: job, streams: [.stdout]), LogQuery(job: job, streams: [.stderr]),
                LogQuery(job: job, endPosition: end / 2), LogQuery(job: job, until: whole.fragments[100].time),
            ]
            for query in queries {
                let visible = whole.filtered(query)
                let lines = query.streams.flatMap { visible.lines(of: $0) }.sorted { $0.position < $1.position }
                for count in [1, 2, 10, 50, lines.count, lines.count + 1, .max] {
                    let cursor = try await store.cursor(forLast: count, of: query)
                    guard let first = lines.suffix(count).first else { continue }
                    #expect(cursor.position <= first.position, "the last \(count) lines")
                }
            }
        },
        .init("no lines are behind everything") { store in
            let job = JobID.random()
            var run = FragmentRun("a\nb\n")
            run.appendGap(stream: .stdout, time: 2, dropped: 1)
            try await store.append(run, to: job)
            #expect(try await store.cursor(forLast: 0, of: LogQuery(job: job)) == LogCursor(position: 4, gaps: 1))
            let stop = LogQuery(job: job, endPosition: 2)
            #expect(try await store.cursor(forLast: 0, of: stop) == LogCursor(position: 2))
        },
        .init("the cursor for a few lines of a large log is near its end") { store in
            var sample = SampleLog(seed: 21)
            let job = JobID.random()
            for _ in 0..<12 { try await store.append(sample.lines(bytes: 1_000_000), to: job) }
            _ = try await store.sync([job])
            let cursor = try await store.cursor(forLast: 10, of: LogQuery(job: job))
            #expect(cursor.position >= 9_000_000)
        },
    ]
}
