import Backends
import Storage

/// One job's data as a store knows it: blocks in objects, blocks that wait to be written, and an open tail behind them.
///
/// Belongs to the store's actor.
protocol S3Series: AnyObject {
    associatedtype Header: ObjectHeader

    var job: JobID { get }
    /// The blocks in objects, by place.
    var blocks: [S3Object<Header>.Stored] { get set }
    /// The blocks that wait to be written, which follow them.
    var sealed: [S3Object<Header>.Block] { get set }
    /// Whether readers find anything.
    var exists: Bool { get }
    /// Whether nothing would be lost by forgetting this value.
    var isClean: Bool { get }
    /// Whether the tail takes no more.
    var isTailFull: Bool { get }
    /// Bytes of the tail in memory.
    var tailBytes: Int { get }
    /// The earliest and the latest time in the tail; nil where it is empty.
    var tailTimes: ClosedRange<Int64>? { get }
    /// When it was used last, as the store counts uses.
    var lastUse: UInt64 { get set }

    /// Compresses the tail into a block that waits to be written.
    func seal(with gzip: borrowing Gzip)
}

extension S3Series {
    /// The position up to which the data is in objects; nil where nothing of it is.
    var durableEnd: UInt64? { blocks.last?.header.end.position }
    /// Bytes of text that wait in sealed blocks.
    var sealedText: Int { sealed.reduce(0) { $0 + $1.header.textLength } }
    /// What is held in memory.
    var bytesInMemory: Int { sealed.reduce(tailBytes) { $0 + $1.bytes.count } }
    /// The headers of all blocks, by place, those in memory included.
    var headers: [Header] { blocks.map(\.header) + sealed.map(\.header) }
    /// The earliest and the latest time of all; nil where there is nothing.
    var times: ClosedRange<Int64>? { headers.reduce(tailTimes) { $1.times.united(with: $0) } }
    /// Bytes that the blocks in objects take, their entries in indexes included.
    var storedBytes: UInt64 { blocks.reduce(0) { $0 + $1.size } }

    /// Notes that the first blocks that waited are in an object now.
    func commit(_ headers: [Header], key: String) {
        blocks += headers.map { S3Object<Header>.Stored(header: $0, key: key) }
        sealed.removeFirst(headers.count)
    }

    /// Lets a block of the object `key` stand in place of those that it holds, some of which are in objects that go.
    func replace(by header: Header, in key: String, insteadOf old: Set<String>) {
        guard let first = blocks.firstIndex(where: { $0.header.start >= header.start }) else { return }
        let held = blocks[first...].prefix { $0.header.end <= header.end }
        guard held.contains(where: { old.contains($0.key) }) else { return }
        blocks.replaceSubrange(held.indices, with: [S3Object<Header>.Stored(header: header, key: key)])
    }

    /// Lets the blocks of one object stand in place of everything before `end`.
    func trim(to end: LogCursor, by entries: [S3Object<Header>.Entry], key: String) {
        blocks =
            entries.map { S3Object<Header>.Stored(header: $0.header, key: key) }
            + blocks.filter { $0.header.start >= end }
    }
}

extension ClosedRange<Int64> {
    /// The range from the earlier to the later bound of both.
    func united(with other: ClosedRange?) -> ClosedRange {
        guard let other else { return self }
        return Swift.min(lowerBound, other.lowerBound)...Swift.max(upperBound, other.upperBound)
    }
}
