package import Storage

/// Fills a page of a log from the fragments that a backend walks over, in their order.
///
/// The rules of `LogStore.read` that every backend shares stand here: filters, cursors inside fragments
/// and between gap notes, the end position and the page's bounds.
package struct LogPageBuilder {
    /// The place in the log before the next fragment that is offered.
    package private(set) var place: LogCursor
    /// Whether the query's end was reached: nothing behind `place` is wanted.
    package private(set) var reachedEnd = false

    private let cursor: LogCursor
    private let maxBytes: Int
    private let wantsStdout: Bool
    private let wantsStderr: Bool
    private let times: ClosedRange<Int64>
    private let endPosition: UInt64
    private var fragments: [Fragment] = []
    private var bytes: [UInt8] = []

    /// A page of `query` after `cursor`; the walk begins at `place`, at or before it.
    package init(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int, from place: LogCursor) {
        self.cursor = cursor
        self.place = place
        self.maxBytes = max(1, maxBytes)
        wantsStdout = query.streams.contains(.stdout)
        wantsStderr = query.streams.contains(.stderr)
        let since = query.since ?? .min
        let until = query.until ?? .max
        // An empty range of times wants nothing, which no stream says as well.
        times = since <= until ? since...until : Int64.min...Int64.min
        endPosition = since <= until ? query.endPosition ?? .max : 0
    }

    /// Whether there is no room for another byte.
    package var isFull: Bool {
        bytes.count == maxBytes || fragments.count == LogPage.maximumFragments
    }

    /// Whether the page holds anything.
    package var isEmpty: Bool { fragments.isEmpty }

    /// Goes on to `place`, over fragments that are not wanted.
    package mutating func move(to place: LogCursor) {
        self.place = place
    }

    /// Whether fragments of these streams and times can be wanted.
    package func wants(stdout: Bool, stderr: Bool, times range: ClosedRange<Int64>) -> Bool {
        (wantsStdout && stdout || wantsStderr && stderr) && times.overlaps(range)
    }

    /// Whether bytes of `stream` can be wanted.
    package func wants(_ stream: LogStream) -> Bool {
        stream == .stdout ? wantsStdout : wantsStderr
    }

    /// Makes room for `count` bytes or what the page may still hold of them.
    package mutating func reserve(_ count: Int) {
        bytes.reserveCapacity(min(maxBytes, bytes.count + count))
    }

    /// Takes what is wanted of a fragment; returns false where the page ends before the fragment does.
    package mutating func add(_ fragment: Fragment, _ source: UnsafeRawBufferPointer) -> Bool {
        guard fragment.position < endPosition else {
            reachedEnd = true
            return false
        }
        switch fragment.content {
        case .dropped: return addNote(fragment)
        case .bytes: return addBytes(fragment, source)
        }
    }

    /// The page; `isLast` says that everything visible was offered.
    package consuming func page(isLast: Bool) -> LogPage {
        // Blocks are passed over whole, and may reach behind the end.
        let next = max(cursor, min(place, LogCursor(position: endPosition)))
        return LogPage(fragments: fragments, bytes: bytes, next: next, isLast: isLast || reachedEnd)
    }

    private func admits(_ fragment: Fragment) -> Bool {
        wants(fragment.stream) && times.contains(fragment.time)
    }

    private mutating func addNote(_ note: Fragment) -> Bool {
        let here = place.position == note.position ? place : LogCursor(position: note.position)
        if here >= cursor, admits(note) {
            guard fragments.count < LogPage.maximumFragments else { return false }
            fragments.append(note)
        }
        place = LogCursor(position: here.position, gaps: here.gaps + 1)
        return true
    }

    private mutating func addBytes(_ fragment: Fragment, _ source: UnsafeRawBufferPointer) -> Bool {
        let start = max(fragment.position, cursor.position)
        let end = min(fragment.end, endPosition)
        if start < end, admits(fragment) {
            let count = min(Int(end - start), maxBytes - bytes.count)
            guard count > 0, addFragment(fragment, from: start, count: count) else { return false }
            let offset = Int(start - fragment.position)
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: source[offset..<offset + count]))
            place = LogCursor(position: start + UInt64(count))
            if place.position < end { return false }
        } else {
            place = LogCursor(position: end)
        }
        reachedEnd = end < fragment.end
        return !reachedEnd
    }

    private mutating func addFragment(_ fragment: Fragment, from start: UInt64, count: Int) -> Bool {
        if let last = fragments.last, last.count > 0, last.end == start, last.stream == fragment.stream,
            last.time == fragment.time
        {
            fragments[fragments.count - 1].content = .bytes(count: last.count + count)
            return true
        }
        guard fragments.count < LogPage.maximumFragments else { return false }
        fragments.append(
            Fragment(stream: fragment.stream, position: start, time: fragment.time, content: .bytes(count: count)))
        return true
    }
}
