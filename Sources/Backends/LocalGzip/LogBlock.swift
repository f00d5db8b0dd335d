import Glibc
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

    /// Adds a gap note at the end.
    mutating func add(note: Fragment) {
        fragments.append(note)
        end.gaps += 1
    }

    /// Adds bytes of one stream and time at the end.
    mutating func add(_ source: UnsafeRawBufferPointer, stream: LogStream, time: Int64) {
        if stream == .stdout {
            stdout.append(contentsOf: source)
        } else {
            stderr.append(contentsOf: source)
        }
        if let last = fragments.last, last.count > 0, last.stream == stream, last.time == time {
            fragments[fragments.count - 1].content = .bytes(count: last.count + source.count)
        } else {
            let content = Fragment.Content.bytes(count: source.count)
            fragments.append(Fragment(stream: stream, position: end.position, time: time, content: content))
        }
        end = LogCursor(position: end.position + UInt64(source.count))
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

/// How many newline characters `bytes` holds.
func newlines(in bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { buffer in
        var count = 0
        var offset = 0
        while offset < buffer.count, let address = buffer.baseAddress,
            let found = memchr(address + offset, Int32(UInt8(ascii: "\n")), buffer.count - offset) {
            count += 1
            offset = UnsafeRawPointer(found) - address + 1
        }
        return count
    }
}
