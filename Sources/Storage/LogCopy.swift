/// Copies logs from one store to another.
///
/// A copy goes on where the target ends, so one that was interrupted is begun again. The source must not change
/// while it is copied: its jobs have ended, or its writer is stopped.
public struct LogCopy: Sendable {
    private static let pageBytes = 1 << 20

    private let source: any LogStore
    private let target: any LogStore
    private let verifies: Bool

    /// A copy of `source` into `target`; without `verifies` what arrived is not read again.
    public init(from source: any LogStore, to target: any LogStore, verifies: Bool = true) {
        self.source = source
        self.target = target
        self.verifies = verifies
    }

    /// Copies every log. A job that fails is counted, and the copy goes on.
    ///
    /// Throws what listing the source throws, and `cancelled`.
    public func run(
        progress: @Sendable (CopyProgress) -> Void = { _ in }
    ) async throws(StorageError) -> CopyReport {
        var report = CopyReport()
        var state = try await total()
        progress(state)
        var last: JobID?
        while true {
            let jobs = try await source.jobs(after: last, limit: 256)
            guard let end = jobs.last else { return report }
            last = end
            for job in jobs {
                let before = state.units
                do throws(StorageError) {
                    let bytes = try await source.statistics(of: job).bytes
                    report.copiedUnits += try await copy(job) { copied in
                        state.units += copied
                        progress(state)
                    }
                    report.jobs += 1
                    state.units = before + bytes
                } catch {
                    if error == .cancelled { throw error }
                    report.failures.append(CopyReport.Failure(job: job, error: error))
                }
                state.jobs += 1
                progress(state)
            }
        }
    }

    /// Copies one log and makes it durable in the target; returns how many bytes were missing there.
    ///
    /// `progress` is called with the bytes of each step. Throws `notFound` where the source has no log of the job,
    /// `corrupt` where what arrived is not what was sent.
    @discardableResult
    public func copy(
        _ job: JobID, progress: (UInt64) -> Void = { _ in }
    ) async throws(StorageError) -> UInt64 {
        guard let end = try await source.end(of: job) else { throw .notFound }
        var copied: UInt64 = 0
        var failure: StorageError?
        do throws(StorageError) {
            copied = try await append(job, progress)
        } catch {
            failure = error
        }
        // What came over before a failure stays, and the next attempt goes on behind it.
        let durable = try await target.sync([job])[job] ?? 0
        try await target.finish(job)
        if let failure { throw failure }
        guard durable >= end else {
            throw .unavailable(reason: "the target keeps job \(job) up to \(durable) rather than \(end)")
        }
        if verifies { try await compare(job, upTo: end) }
        return copied
    }

    private func append(_ job: JobID, _ progress: (UInt64) -> Void) async throws(StorageError) -> UInt64 {
        var place = try await target.end(of: job) ?? 0
        var cursor = LogCursor(position: place)
        var copied: UInt64 = 0
        while true {
            let page = try await source.read(LogQuery(job: job), after: cursor, maxBytes: Self.pageBytes)
            for run in page.runs {
                if run.start > place, let time = run.fragments.first?.time {
                    try await target.skip(to: run.start, of: job, time: time)
                }
                try await target.append(run, to: job)
                place = run.end
                copied += UInt64(run.bytes.count)
                progress(UInt64(run.bytes.count))
            }
            if page.isLast { return copied }
            cursor = page.next
        }
    }

    /// Reads both logs and compares what the source has: bytes, positions, streams and times.
    private func compare(_ job: JobID, upTo end: UInt64) async throws(StorageError) {
        let query = LogQuery(job: job, endPosition: end)
        let sent = try await digest(of: query, in: source, from: nil)
        // What the source gave up since an earlier copy may still be in the target.
        let arrived = try await digest(of: query, in: target, from: sent.first)
        guard sent.digest.bytes == arrived.digest.bytes, sent.digest.lines == arrived.digest.lines,
            sent.digest.value == arrived.digest.value
        else { throw .corrupt(place: "copy of job \(job)") }
    }

    private func digest(
        of query: LogQuery, in store: any LogStore, from position: UInt64?
    ) async throws(StorageError) -> (digest: LogDigest, first: UInt64) {
        var digest = LogDigest()
        var first = position
        var cursor = LogCursor(position: position ?? 0)
        while true {
            let page = try await store.read(query, after: cursor, maxBytes: Self.pageBytes)
            digest.add(page)
            first = first ?? page.fragments.first { $0.count > 0 }?.position
            if page.isLast { return (digest, first ?? query.endPosition ?? 0) }
            cursor = page.next
        }
    }

    private func total() async throws(StorageError) -> CopyProgress {
        var state = CopyProgress()
        var last: JobID?
        while true {
            let jobs = try await source.jobs(after: last, limit: 256)
            guard let end = jobs.last else { return state }
            last = end
            state.totalJobs += jobs.count
            for job in jobs {
                do throws(StorageError) {
                    state.totalUnits += try await source.statistics(of: job).bytes
                } catch {
                    // Counted as a failure when its turn comes.
                    if error == .cancelled { throw error }
                }
            }
        }
    }
}

extension LogPage {
    /// The page as runs: one, or several where positions jump.
    var runs: [FragmentRun] {
        var runs: [FragmentRun] = []
        var run: FragmentRun?
        forEach { fragment, bytes in
            if let last = run, last.end != fragment.position {
                runs.append(last)
                run = nil
            }
            var next = run ?? FragmentRun(start: fragment.position)
            // The other reference would make each append a copy.
            run = nil
            switch fragment.content {
            case .bytes: next.append(stream: fragment.stream, time: fragment.time, bytes: bytes)
            case .dropped(let count): next.appendGap(stream: fragment.stream, time: fragment.time, dropped: count)
            }
            run = next
        }
        if let run { runs.append(run) }
        return runs
    }
}
