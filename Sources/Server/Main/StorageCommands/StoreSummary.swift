import Foundation
public import Storage

/// What a store holds, as `stats` tells it.
public struct StoreSummary: Sendable, Encodable {
    /// What a store holds of one job, or of all.
    public struct Amount: Sendable, Encodable {
        /// The job; nil for all.
        public var job: String?
        /// Bytes of output, or of records as JSON; nil for samples.
        public var bytes: UInt64?
        /// Lines of output, of logs only.
        public var lines: UInt64?
        /// Samples, of metrics only.
        public var samples: UInt64?
        /// Bytes that the store uses; nil where that is not known.
        public var storedBytes: UInt64?
        /// `bytes` by `storedBytes`.
        public var ratio: Double?
        /// The earliest time, in UTC.
        public var oldest: String?
        var oldestTime: Int64?

        private enum CodingKeys: String, CodingKey {
            case job, bytes, lines, samples, storedBytes, ratio, oldest
        }

        /// Nothing of `job`.
        public init(
            job: JobID? = nil, bytes: UInt64? = nil, lines: UInt64? = nil, samples: UInt64? = nil,
            storedBytes: UInt64? = nil, oldest: Int64? = nil
        ) {
            self.job = job.map { "\($0)" }
            self.bytes = bytes
            self.lines = lines
            self.samples = samples
            self.storedBytes = storedBytes
            oldestTime = oldest
            complete()
        }

        mutating func add(_ other: Amount) {
            bytes = Self.sum(bytes, other.bytes)
            lines = Self.sum(lines, other.lines)
            samples = Self.sum(samples, other.samples)
            storedBytes = Self.sum(storedBytes, other.storedBytes)
            oldestTime = [oldestTime, other.oldestTime].compactMap(\.self).min()
            complete()
        }

        mutating func complete() {
            oldest = oldestTime.map(Show.time)
            ratio = nil
            if let bytes, let storedBytes, storedBytes > 0 {
                ratio = (Double(bytes) / Double(storedBytes) * 100).rounded() / 100
            }
        }

        private static func sum(_ left: UInt64?, _ right: UInt64?) -> UInt64? {
            left == nil && right == nil ? nil : (left ?? 0) + (right ?? 0)
        }

        var cells: [String] {
            [
                bytes.map(Show.bytes) ?? "-", lines.map(String.init) ?? "-", samples.map(String.init) ?? "-",
                storedBytes.map(Show.bytes) ?? "-", ratio.map { String(format: "%.2f", $0) } ?? "-", oldest ?? "-",
            ]
        }
    }

    /// What is kept: `logs`, `metrics` or `state`.
    public let store: String
    /// The kind of store.
    public let backend: String
    /// Jobs of which it has something.
    public private(set) var jobs = 0
    /// Jobs of which it could not be told, because they are damaged.
    public private(set) var damagedJobs: [String] = []
    /// All of it.
    public private(set) var total: Amount
    /// The jobs that take most, the largest first.
    public private(set) var top: [Amount] = []
    private let limit: Int

    private enum CodingKeys: String, CodingKey {
        case store, backend, jobs, damagedJobs, total, top
    }

    /// Nothing yet; `top` gets at most `limit` jobs.
    public init(_ store: String, backend: String, nothing: Amount, top limit: Int) {
        self.store = store
        self.backend = backend
        self.limit = limit
        total = nothing
    }

    /// Adds a job.
    public mutating func add(_ amount: Amount) {
        jobs += 1
        total.add(amount)
        guard limit > 0 else { return }
        let size = Self.size(amount)
        if top.count == limit, let least = top.last, Self.size(least) >= size { return }
        top.insert(amount, at: top.firstIndex { Self.size($0) < size } ?? top.count)
        if top.count > limit { top.removeLast() }
    }

    /// Adds a job that is damaged.
    public mutating func addDamaged(_ job: JobID) {
        jobs += 1
        damagedJobs.append("\(job)")
    }

    /// Says what the store uses for all jobs, where that is not the sum of theirs.
    public mutating func setStoredBytes(_ bytes: UInt64) {
        total.storedBytes = bytes
        total.complete()
    }

    private static func size(_ amount: Amount) -> UInt64 { amount.storedBytes ?? amount.bytes ?? 0 }

    /// Prints summaries as tables or as JSON.
    public static func print(_ summaries: [StoreSummary], json: Bool) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return Swift.print(String(decoding: try encoder.encode(summaries), as: UTF8.self))
        }
        let amounts = ["BYTES", "LINES", "SAMPLES", "STORED", "RATIO", "OLDEST"]
        var text = Show.table(
            [["STORE", "BACKEND", "JOBS"] + amounts]
                + summaries.map { [$0.store, $0.backend, "\($0.jobs)"] + $0.total.cells })
        for summary in summaries where !summary.top.isEmpty {
            text +=
                "\n"
                + Show.table(
                    [["\(summary.store.uppercased()), JOB"] + amounts]
                        + summary.top.map { [$0.job ?? "-"] + $0.cells })
        }
        for summary in summaries where !summary.damagedJobs.isEmpty {
            text += "\n\(summary.store), damaged: \(summary.damagedJobs.joined(separator: " "))\n"
        }
        Swift.print(text, terminator: "")
    }
}
