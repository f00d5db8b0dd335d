import Backends
import BenchmarkSupport
import Storage

/// The log of one job that takes an hour: runs of 1 MiB, as the daemon ships them.
struct SampleLog: Sendable {
    /// What a fragment is.
    enum Shape: Sendable {
        /// 64 KiB: what a job writes within about a millisecond comes as one.
        case bulk
        /// A line: the job writes slowly enough that each has a time of its own.
        case lines
    }

    /// The text of a run; the text of the log repeats after that many.
    private static let texts: [[UInt8]] = {
        let text = LogText(bytes: different * runBytes, seed: 7).bytes
        return (0..<different).map { Array(text[$0 * runBytes..<($0 + 1) * runBytes]) }
    }()
    private static let different = 64
    private static let lineCounts = texts.map { Backends.newlines(in: $0) }

    static let runBytes = 1 << 20
    static let firstTime: Int64 = 1_790_000_000_000_000_000
    private static let duration: Int64 = 3_600_000_000_000

    let job = JobID.random()
    let shape: Shape
    /// How many runs there are.
    let count: Int

    /// A log of so many million bytes, at least.
    init(megabytes: Int, shape: Shape = .bulk) {
        count = (megabytes * 1_000_000 + Self.runBytes - 1) / Self.runBytes
        self.shape = shape
    }

    var bytes: Int { count * Self.runBytes }
    var megabytes: Double { Double(bytes) / 1e6 }
    var lines: Int { (0..<count).reduce(0) { $0 + Self.lineCounts[$1 % Self.different] } }
    var lastTime: Int64 { Self.firstTime + Self.duration }

    func text(of run: Int) -> [UInt8] { Self.texts[run % Self.different] }

    /// The time at which a byte of the log was written.
    func time(of position: Int) -> Int64 {
        Self.firstTime + Int64(Double(Self.duration) * Double(position) / Double(bytes))
    }

    func run(_ index: Int) -> FragmentRun {
        let text = text(of: index)
        let start = index * Self.runBytes
        var fragments: [Fragment] = []
        var offset = 0
        while offset < text.count {
            var end = min(offset + 64 << 10, text.count)
            if shape == .lines {
                end = text[offset...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? text.count
            }
            fragments.append(
                Fragment(
                    stream: .stdout, position: UInt64(start + offset), time: time(of: start + offset),
                    content: .bytes(count: end - offset)))
            offset = end
        }
        return FragmentRun(start: UInt64(start), fragments: fragments, bytes: text)
    }
}

extension SampleLog {
    /// Runs between two syncs: the store is asked for one when a segment of the outbox can be released.
    private static let runsOfSegment = 64

    /// Seconds, and seconds of CPU time, to bring the log into a store as the daemon does. The runs are made before.
    func ingest(into store: any LogStore) async throws -> (seconds: Double, processorSeconds: Double) {
        var (seconds, processorSeconds) = (0.0, 0.0)
        var next = 0
        while next < count {
            // What the runs cost is not the store's.
            let runs = (next..<min(next + Self.runsOfSegment, count)).map(run)
            let (start, before) = (ContinuousClock.now, ownProcessorSeconds())
            for run in runs { try await store.append(run, to: job) }
            next += runs.count
            let durable = try await store.sync([job])[job]
            if next == count { try await store.finish(job) }
            guard durable == UInt64(next * Self.runBytes) else { throw Wrong("the log did not arrive whole") }
            seconds += (ContinuousClock.now - start).seconds
            processorSeconds += ownProcessorSeconds() - before
        }
        return (seconds, processorSeconds)
    }

    /// Seconds to read all of the log in pages of 1 MiB; throws where it is not what was written.
    func readBack(from store: any LogStore) async throws -> Double {
        let start = ContinuousClock.now
        var cursor = LogCursor.start
        var sum: UInt32 = 0
        while true {
            let page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: Self.runBytes)
            sum = page.bytes.withUnsafeBytes { crc32($0, after: sum) }
            cursor = page.next
            if page.isLast { break }
        }
        let seconds = (ContinuousClock.now - start).seconds
        guard cursor.position == UInt64(bytes), sum == checksum else { throw Wrong("the log that was read is another") }
        return seconds
    }

    private var checksum: UInt32 {
        (0..<count).reduce(0) { sum, index in text(of: index).withUnsafeBytes { crc32($0, after: sum) } }
    }
}
