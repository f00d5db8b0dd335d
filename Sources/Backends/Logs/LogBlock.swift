import Storage

/// A stretch of one log in memory: fragments in order, each stream's bytes in one buffer.
///
/// The open tail of a log is one, and so is a block that was read from its files.
struct LogBlock {
    /// The place before the first fragment.
    let start: LogCursor
    /// The place after the last one.
    private(set) var end: LogCursor
    private(set) var fragments: [Fragment] = []
    private(set) var stdout: [UInt8] = []
    private(set) var stderr: [UInt8] = []

    /// An empty stretch at `start`.
    init(at start: LogCursor) {
        self.start = start
        end = start
    }

    /// A block as it was stored; a stream that nobody asked for may be empty.
    init(_ header: BlockHeader, fragments: [Fragment], stdout: [UInt8], stderr: [UInt8]) {
        start = header.start
        end = header.end
        self.fragments = fragments
        self.stdout = stdout
        self.stderr = stderr
    }

    var isEmpty: Bool { fragments.isEmpty }

    /// Bytes of both streams.
    var byteCount: Int { stdout.count + stderr.count }

    /// The bytes of a stream.
    func bytes(of stream: LogStream) -> [UInt8] {
        stream == .stdout ? stdout : stderr
    }

    /// Empties the block and moves it to its end; the buffers stay allocated where `keepsBuffers`.
    mutating func restart(keepsBuffers: Bool) {
        var next = LogBlock(at: end)
        if keepsBuffers {
            swap(&next.fragments, &fragments)
            swap(&next.stdout, &stdout)
            swap(&next.stderr, &stderr)
            next.fragments.removeAll(keepingCapacity: true)
            next.stdout.removeAll(keepingCapacity: true)
            next.stderr.removeAll(keepingCapacity: true)
        }
        self = next
    }

    /// Takes the next fragments of a run until it is taken whole or the block holds `maxBytes` bytes or
    /// `maxFragments` fragments. `bytes` are those of the run.
    mutating func take(
        _ place: inout RunPlace, of run: FragmentRun, _ bytes: UnsafeRawBufferPointer, maxBytes: Int,
        maxFragments: Int
    ) {
        // What follows each other in one stream is copied at once, however many fragments it is.
        var uncopied = place.offset..<place.offset
        var stream = LogStream.stdout
        while place.index < run.fragments.count, byteCount + uncopied.count < maxBytes, fragments.count < maxFragments {
            let fragment = run.fragments[place.index]
            if fragment.count == 0 {
                fragments.append(fragment)
                end.gaps += 1
                place.index += 1
                continue
            }
            if fragment.stream != stream {
                copy(bytes[uncopied], of: stream)
                uncopied = place.offset..<place.offset
                stream = fragment.stream
            }
            let count = min(fragment.count - place.taken, maxBytes - byteCount - uncopied.count)
            add(count, of: fragment)
            place.offset += count
            uncopied = uncopied.lowerBound..<place.offset
            place.taken += count
            if place.taken == fragment.count {
                place.index += 1
                place.taken = 0
            }
        }
        copy(bytes[uncopied], of: stream)
    }

    /// Adds a block that begins where this one ends.
    mutating func append(_ next: LogBlock) {
        fragments += next.fragments
        stdout += next.stdout
        stderr += next.stderr
        end = next.end
    }

    /// The gap notes behind the last byte.
    var notesAtEnd: ArraySlice<Fragment> {
        let lastBytes = fragments.lastIndex { $0.count > 0 }
        return fragments[(lastBytes.map { $0 + 1 } ?? 0)...]
    }

    private mutating func add(_ count: Int, of fragment: Fragment) {
        if let last = fragments.last, last.count > 0, last.stream == fragment.stream, last.time == fragment.time {
            fragments[fragments.count - 1].content = .bytes(count: last.count + count)
        } else {
            let content = Fragment.Content.bytes(count: count)
            fragments.append(
                Fragment(stream: fragment.stream, position: end.position, time: fragment.time, content: content))
        }
        end = LogCursor(position: end.position + UInt64(count))
    }

    private mutating func copy(_ source: Slice<UnsafeRawBufferPointer>, of stream: LogStream) {
        if source.isEmpty { return }
        if stream == .stdout {
            stdout.append(contentsOf: UnsafeRawBufferPointer(rebasing: source))
        } else {
            stderr.append(contentsOf: UnsafeRawBufferPointer(rebasing: source))
        }
    }

    /// Offers the fragments to a page; returns false where the page ended before the block.
    func fill(_ page: inout LogPageBuilder) -> Bool {
        page.move(to: start)
        return stdout.withUnsafeBytes { stdout in
            stderr.withUnsafeBytes { stderr in
                // Of a stream that was not asked for there are no bytes, and the page takes none.
                var offsets = (stdout: 0, stderr: 0)
                for fragment in fragments {
                    let source: UnsafeRawBufferPointer
                    if fragment.stream == .stdout {
                        source = part(of: stdout, at: &offsets.stdout, count: fragment.count)
                    } else {
                        source = part(of: stderr, at: &offsets.stderr, count: fragment.count)
                    }
                    if !page.add(fragment, source) { return false }
                }
                return true
            }
        }
    }

    private func part(of bytes: UnsafeRawBufferPointer, at offset: inout Int, count: Int) -> UnsafeRawBufferPointer {
        guard bytes.count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    /// The earliest and the latest time; nil for an empty block.
    var times: ClosedRange<Int64>? {
        guard let first = fragments.first else { return nil }
        var (earliest, latest) = (first.time, first.time)
        for fragment in fragments {
            earliest = min(earliest, fragment.time)
            latest = max(latest, fragment.time)
        }
        return earliest...latest
    }
}

/// How far a run was taken.
struct RunPlace {
    /// The next fragment, and how many of its bytes were taken.
    var index = 0
    var taken = 0
    /// All bytes that were taken.
    var offset = 0
}
