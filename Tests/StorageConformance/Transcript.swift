public import Storage

/// What a reader saw of a log, or should see: fragments with their bytes, in order.
///
/// Neighbouring bytes of one stream and time are joined, so that transcripts compare equal however a
/// store cut the log into blocks and pages.
public struct Transcript: Equatable, Sendable {
    /// The fragments, joined where they can be.
    public private(set) var fragments: [Fragment] = []
    /// Their bytes.
    public private(set) var bytes: [UInt8] = []

    /// Nothing.
    public init() {}

    /// The runs, one after another.
    public init(_ runs: [FragmentRun]) {
        for run in runs { run.forEach { add($0, $1) } }
    }

    /// Adds a fragment and its bytes.
    public mutating func add(_ fragment: Fragment, _ source: some Collection<UInt8>) {
        bytes.append(contentsOf: source)
        if let last = fragments.last, last.count > 0, fragment.count > 0, last.end == fragment.position,
            last.stream == fragment.stream, last.time == fragment.time
        {
            fragments[fragments.count - 1].content = .bytes(count: last.count + fragment.count)
        } else {
            fragments.append(fragment)
        }
    }

    /// The part that `query` asks for, by the words of its properties.
    public func filtered(_ query: LogQuery) -> Transcript {
        var result = Transcript()
        forEach { fragment, bytes in
            let end = query.endPosition ?? .max
            guard fragment.position < end, query.admits(stream: fragment.stream, time: fragment.time) else { return }
            if fragment.count == 0 {
                result.add(fragment, [])
            } else {
                let count = min(fragment.count, Int(min(end - fragment.position, UInt64(Int.max))))
                var part = fragment
                part.content = .bytes(count: count)
                result.add(part, bytes.prefix(count))
            }
        }
        return result
    }

    /// The bytes of one stream.
    public func bytes(of stream: LogStream) -> [UInt8] {
        var result: [UInt8] = []
        forEach { fragment, bytes in
            if fragment.stream == stream { result += bytes }
        }
        return result
    }

    /// The lines of one stream, each with the position of its first byte.
    func lines(of stream: LogStream) -> [Line] {
        var lines: [Line] = []
        var line: Line?
        forEach { fragment, bytes in
            guard fragment.stream == stream else { return }
            for (offset, byte) in bytes.enumerated() {
                line = line ?? Line(position: fragment.position + UInt64(offset), text: [])
                line?.text.append(byte)
                if byte == UInt8(ascii: "\n") {
                    if let line { lines.append(line) }
                    line = nil
                }
            }
        }
        if let line { lines.append(line) }
        return lines
    }

    /// Calls `body` with each fragment and its bytes.
    public func forEach(_ body: (Fragment, ArraySlice<UInt8>) -> Void) {
        var offset = 0
        for fragment in fragments {
            body(fragment, bytes[offset..<offset + fragment.count])
            offset += fragment.count
        }
    }

    /// A line of one stream.
    struct Line: Equatable {
        var position: UInt64
        var text: [UInt8]
    }
}

extension LogStore {
    /// Everything that `query` asks for after `cursor`, read page by page.
    public func transcript(
        of query: LogQuery, after cursor: LogCursor = .start, maxBytes: Int = 1 << 20
    ) async throws -> Transcript {
        var transcript = Transcript()
        var cursor = cursor
        while true {
            let page = try await read(query, after: cursor, maxBytes: maxBytes)
            page.forEach { transcript.add($0, $1) }
            if page.isLast { return transcript }
            guard query.grep != nil || !page.fragments.isEmpty, page.next > cursor else {
                throw StalledRead(cursor: cursor)
            }
            cursor = page.next
        }
    }

    /// Appends runs in their order.
    public func append(_ runs: [FragmentRun], to job: JobID) async throws {
        for run in runs { try await append(run, to: job) }
    }
}

/// A page that was not the last and brought the reader no further.
public struct StalledRead: Error {
    /// Where the reader stands.
    public var cursor: LogCursor
}
