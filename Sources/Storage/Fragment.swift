/// Which of a job's two output streams bytes came from.
public enum LogStream: UInt8, Sendable, Hashable, CaseIterable, Codable {
    case stdout = 1
    case stderr = 2

    /// The name of the stream as files, queries and messages spell it.
    public var name: String { self == .stdout ? "stdout" : "stderr" }
}

/// Contiguous bytes of one stream as they were recorded, or a note that bytes were dropped there.
///
/// A fragment's position is the number of bytes of both streams recorded before it, so the positions
/// of a job's fragments are gap-free and follow from the fragments alone.
public struct Fragment: Sendable, Hashable {
    /// What stands at a position.
    public enum Content: Sendable, Hashable {
        /// That many bytes of the stream.
        case bytes(count: Int)
        /// That many bytes were dropped at an output limit and are nowhere; takes no position.
        case dropped(bytes: UInt64)
    }

    /// The stream the bytes came from.
    public var stream: LogStream
    /// The number of bytes of both streams before this fragment.
    public var position: UInt64
    /// When the bytes were read from the job's pipe: nanoseconds since 1970 (CLOCK_REALTIME), never
    /// smaller than the time of the fragment before.
    public var time: Int64
    /// The bytes, or the gap.
    public var content: Content

    /// A fragment of `content` at `position`.
    public init(stream: LogStream, position: UInt64, time: Int64, content: Content) {
        self.stream = stream
        self.position = position
        self.time = time
        self.content = content
    }

    /// The number of recorded bytes: zero for a gap.
    public var count: Int {
        if case .bytes(let count) = content { count } else { 0 }
    }

    /// The position after the fragment.
    public var end: UInt64 { position + UInt64(count) }
}

/// Fragments of one job that follow each other without a gap in position, with their bytes.
///
/// The bytes of all fragments lie one after another in `bytes`: a run costs one buffer, however many
/// lines it holds.
public struct FragmentRun: Sendable, Equatable {
    /// The fragments, by position; the first may be a gap.
    public private(set) var fragments: [Fragment]
    /// The bytes of the fragments, in their order.
    public private(set) var bytes: [UInt8]
    /// The position at which the run begins.
    public let start: UInt64
    /// The position after the run.
    public private(set) var end: UInt64

    /// An empty run that begins at `start`, with room for `capacity` bytes.
    public init(start: UInt64, capacity: Int = 0) {
        self.start = start
        end = start
        fragments = []
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// A run of fragments whose bytes are already one buffer.
    ///
    /// The fragments must follow each other from `start` on and their counts add up to `bytes.count`.
    public init(start: UInt64, fragments: [Fragment], bytes: [UInt8]) {
        self.start = start
        self.fragments = fragments
        self.bytes = bytes
        end = start + UInt64(bytes.count)
    }

    /// Whether the run holds neither bytes nor gaps.
    public var isEmpty: Bool { fragments.isEmpty }

    /// Adds `count` bytes of `stream`, which `fill` writes into the buffer it is given.
    ///
    /// Bytes of the same stream and time as the fragment before become part of it.
    public mutating func append<Failure: Error>(
        stream: LogStream, time: Int64, count: Int,
        fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        guard count > 0 else { return }
        try bytes.append(addingCapacity: count) { (span) throws(Failure) in
            try span.withUnsafeMutableBufferPointer { (buffer, initialized) throws(Failure) in
                try fill(UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<count])))
                initialized = count
            }
        }
        if let last = fragments.last, last.stream == stream, last.time == time, last.count > 0 {
            fragments[fragments.count - 1].content = .bytes(count: last.count + count)
        } else {
            fragments.append(Fragment(stream: stream, position: end, time: time, content: .bytes(count: count)))
        }
        end += UInt64(count)
    }

    /// Adds a copy of `source` as bytes of `stream`.
    public mutating func append(stream: LogStream, time: Int64, bytes source: some Collection<UInt8>) {
        append(stream: stream, time: time, count: source.count) { buffer in
            buffer.copyBytes(from: source)
        }
    }

    /// Notes that `count` bytes of `stream` were dropped here.
    public mutating func appendGap(stream: LogStream, time: Int64, dropped count: UInt64) {
        fragments.append(Fragment(stream: stream, position: end, time: time, content: .dropped(bytes: count)))
    }

    /// Calls `body` with each fragment and its bytes (none for a gap), in order.
    public func forEach<Failure: Error>(
        _ body: (Fragment, ArraySlice<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        var offset = 0
        for fragment in fragments {
            try body(fragment, bytes[offset..<offset + fragment.count])
            offset += fragment.count
        }
    }

    /// The part of the run from `position` on: what a store that already holds the rest still needs.
    ///
    /// Gaps at or after `position` stay, those exactly at `position` included: whether the store has
    /// them does not follow from a position.
    public func dropping(before position: UInt64) -> FragmentRun {
        guard position > start else { return self }
        var rest = FragmentRun(start: Swift.min(position, end))
        forEach { fragment, bytes in
            switch fragment.content {
            case .dropped(let count):
                if fragment.position >= position {
                    rest.appendGap(stream: fragment.stream, time: fragment.time, dropped: count)
                }
            case .bytes:
                guard fragment.end > position else { return }
                let skip = position > fragment.position ? Int(position - fragment.position) : 0
                rest.append(stream: fragment.stream, time: fragment.time, bytes: bytes.dropFirst(skip))
            }
        }
        return rest
    }
}
