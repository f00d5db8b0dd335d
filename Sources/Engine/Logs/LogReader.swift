import Kernel
public import Storage

/// Reads a job's log across the store, the outbox and the present, without a seam.
///
/// The outbox is opened first and its beginning noted; the store is read up to exactly there, then the
/// outbox, then what is added to it. A reader pins nothing: one that falls behind goes on from the store.
public struct LogReader: Sendable {
    /// What is asked for.
    public struct Request: Sendable, Hashable {
        /// The part of the log.
        public var query: LogQuery
        /// Where to begin.
        public var start: LogCursor
        /// Whether to wait for more while the job runs.
        public var follows: Bool

        /// A request.
        public init(query: LogQuery, start: LogCursor = .start, follows: Bool) {
            self.query = query
            self.start = start
            self.follows = follows
        }
    }

    private static let pageBytes = 512 << 10

    let store: any LogStore
    let watcher: OutboxWatcher
    let outboxRoot: String
    /// Whether more output may come for the job.
    let isOpenEnded: @Sendable (JobID) async -> Bool

    /// Calls `body` with page after page, in order, until the log ends or `body` throws.
    ///
    /// Throws `StorageError` where the store or the outbox cannot be read, `EngineError` `unavailable` where the
    /// engine is shut down before the end, and `CancellationError`.
    /// Nothing is read ahead: a slow receiver holds one page and stops nobody.
    ///
    /// With a text filter a line comes once it ended, or the log did: lines across the seam are whole.
    public func read(
        _ request: Request, _ body: (LogPage) async throws -> Void
    ) async throws {
        guard let pattern = request.query.grep else { return try await read(request, nil, body) }
        let lines = MatchingLines(pattern)
        try await read(request, lines, body)
        if let page = lines.finish() { try await body(page) }
    }

    private func read(
        _ request: Request, _ lines: MatchingLines?, _ body: (LogPage) async throws -> Void
    ) async throws {
        let job = request.query.job
        // Nothing can be both; a store need not look.
        if let since = request.query.since, let until = request.query.until, since > until { return }
        var cursor = request.start
        let outbox = OutboxCursor(root: outboxRoot, job: job)
        var isOpen = false
        for await _ in watcher.changes(of: job) {
            while true {
                if !isOpen {
                    // Asked before looking: what ends in between is found by the next look.
                    let mayGrow = await isOpenEnded(job)
                    let base = try await outbox.open()
                    // Nothing was written yet, or all of it is stored, which is told: no store is needed to wait.
                    if base == nil, mayGrow, request.follows { break }
                    if base.map({ cursor.position < $0 }) ?? true {
                        cursor = try await readStore(request.query, from: cursor, upTo: base, lines, body)
                    }
                    guard let base else { return }
                    if cursor.position < base {
                        if let loss = try await loss(request.query, from: cursor, upTo: base) {
                            try await pass(loss, lines, body)
                        }
                        cursor = LogCursor(position: base)
                    }
                    guard try await outbox.seek(to: cursor) else { continue }
                    isOpen = true
                }
                switch try await outbox.read(maxBytes: LogReader.pageBytes) {
                case .run(let run):
                    let page = LogPage(run, query: request.query, after: cursor)
                    cursor = page.next
                    try await pass(page, lines, body)
                    if let until = request.query.until, let last = run.fragments.last, last.time > until { return }
                    continue
                case .ended: return
                case .released, .absent:
                    isOpen = false
                    continue
                case .waiting: break
                }
                if !request.follows { return }
                break
            }
            try Task.checkCancellation()
        }
        try Task.checkCancellation()
        throw EngineError(.unavailable, "the node is shutting down")
    }

    /// A note of the bytes that neither the store nor the outbox has; nil where the store has them all.
    ///
    /// The outbox gave them up once the store had them: it was damaged or replaced since.
    private func loss(_ query: LogQuery, from start: LogCursor, upTo base: UInt64) async throws -> LogPage? {
        let end = max(start.position, try await store.end(of: query.job) ?? 0)
        guard end < base, query.streams.contains(.stdout) else { return nil }
        let note = Fragment(
            stream: .stdout, position: base, time: SystemClock.now(), content: .dropped(bytes: base - end))
        return LogPage(fragments: [note], next: LogCursor(position: base), isLast: false)
    }

    private func readStore(
        _ query: LogQuery, from start: LogCursor, upTo end: UInt64?, _ lines: MatchingLines?,
        _ body: (LogPage) async throws -> Void
    ) async throws -> LogCursor {
        var query = query
        query.endPosition = end
        // The store filters up to the last whole line; a line that began before, or goes on behind, is looked at here.
        query.endsLines = false
        if let lines, !lines.isAtLineStart { query.grep = nil }
        var cursor = start
        while true {
            let page: LogPage
            do throws(StorageError) {
                page = try await store.read(query, after: cursor, maxBytes: LogReader.pageBytes)
            } catch {
                // A job that wrote nothing, or whose first bytes are still in the outbox.
                if error == .notFound { return cursor }
                throw error
            }
            cursor = page.next
            if query.grep != nil {
                if !page.fragments.isEmpty { try await body(page) }
                if page.isLast { query.grep = nil }
            } else {
                try await pass(page, lines, body)
                if page.isLast { return cursor }
            }
        }
    }

    private func pass(
        _ page: LogPage, _ lines: MatchingLines?, _ body: (LogPage) async throws -> Void
    ) async throws {
        if let lines {
            if let matching = lines.filter(page) { try await body(matching) }
        } else if !page.fragments.isEmpty {
            try await body(page)
        }
    }
}

/// The lines of one reader that match, across the pages that it reads.
private final class MatchingLines {
    private var filter: LineFilter
    private var next = LogCursor.start

    init(_ pattern: LinePattern) {
        filter = LineFilter(pattern)
    }

    /// Whether the next page begins at the beginning of a line.
    var isAtLineStart: Bool { filter.undecided == nil }

    /// What of the pages so far can be passed on now; nil for nothing.
    func filter(_ page: LogPage) -> LogPage? {
        page.forEach { filter.add($0, $1) }
        next = page.next
        return take()
    }

    /// What matches of lines that have no end; nil for nothing.
    func finish() -> LogPage? {
        filter.finish()
        return take()
    }

    private func take() -> LogPage? {
        let page = filter.takePage(upTo: next)
        return page.fragments.isEmpty ? nil : page
    }
}

extension LogPage {
    /// The part of a run that `query` wants.
    init(_ run: FragmentRun, query: LogQuery, after cursor: LogCursor) {
        var gaps = cursor.position == run.start ? cursor.gaps : 0
        var position = run.start
        let all = run.fragments.allSatisfy { query.admits(stream: $0.stream, time: $0.time) }
        var kept: [Fragment] = []
        var bytes: [UInt8] = []
        run.forEach { fragment, part in
            if fragment.position != position || fragment.count > 0 { gaps = 0 }
            position = fragment.end
            if fragment.count == 0 { gaps += 1 }
            guard !all, query.admits(stream: fragment.stream, time: fragment.time) else { return }
            kept.append(fragment)
            bytes += part
        }
        self.init(
            fragments: all ? run.fragments : kept, bytes: all ? run.bytes : bytes,
            next: LogCursor(position: run.end, gaps: gaps), isLast: false)
    }
}
