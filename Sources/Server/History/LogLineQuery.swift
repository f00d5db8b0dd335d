import Engine
import FoundationEssentials
import JobletAPI
import Storage

/// A QueryLogs request, checked.
struct LogLineQuery: Sendable {
    /// Ends the reading once nothing more is wanted.
    private struct Enough: Error {}

    /// How far before the first wanted byte a line may begin that goes on there.
    private static let lookBehind = UInt64(LineAssembler.longest)

    private let query: LogQuery
    private let until: Int64?
    private let pattern: [UInt8]
    private let offset: Int
    private let limit: Int

    /// Throws `invalidArgument` for values that make no sense.
    init(_ message: Joblet_Persist_QueryLogsRequest, job: JobID) throws(EngineError) {
        let streams: Set<LogStream>
        switch message.stream {
        case .unspecified: streams = Set(LogStream.allCases)
        case .stdout: streams = [.stdout]
        case .stderr: streams = [.stderr]
        case .UNRECOGNIZED(let number):
            throw EngineError(.invalidArgument, "stream must be 0 (both), 1 (stdout) or 2 (stderr), not \(number)")
        }
        try checkNotNegative(message.startTime, message.endTime, message.limit, message.offset)
        query = LogQuery(job: job, streams: streams, since: message.startTime == 0 ? nil : message.startTime)
        until = message.endTime == 0 ? nil : message.endTime
        pattern = Array(message.grep.utf8)
        offset = Int(message.offset)
        limit = message.limit == 0 ? .max : Int(message.limit)
    }

    /// Calls `body` with the lines that are wanted, in order, several at a time.
    func run(on history: any JobHistory, _ body: ([LogEntry]) async throws -> Void) async throws {
        guard let start = try await start(on: history) else { return }
        if !pattern.isEmpty, LinePattern(pattern) == nil { return }
        var all = query
        all.since = nil
        // A filter at the store hides where a range has ended, so that all the rest would be looked through.
        if until == nil { all.grep = LinePattern(pattern) }
        var assembler = LineAssembler()
        var skipped = 0
        var sent = 0
        func send(_ lines: [LogEntry]) async throws {
            var wanted: [LogEntry] = []
            var isEnough = false
            for line in lines {
                // Times never go back from line to line.
                if let until, line.time > until { isEnough = true }
                if isEnough || sent + wanted.count >= limit { break }
                guard admits(line) else { continue }
                if skipped < offset { skipped += 1 } else { wanted.append(line) }
            }
            sent += wanted.count
            if !wanted.isEmpty { try await body(wanted) }
            if isEnough || sent >= limit { throw Enough() }
        }
        do {
            try await history.readLog(all, from: start) { page in
                var lines: [LogEntry] = []
                page.forEach { lines += assembler.add($0, $1) }
                try await send(lines)
            }
            try await send(assembler.finish())
        } catch is Enough {}
    }

    /// Where to begin to read: far enough before the first wanted byte to find the beginning of its line; nil where
    /// there is none.
    private func start(on history: any JobHistory) async throws -> LogCursor? {
        guard let since = query.since else { return .start }
        if let until, until < since { return nil }
        var first: UInt64?
        do {
            try await history.readLog(query, from: .start) { page in
                guard let fragment = page.fragments.first else { return }
                first = fragment.position
                throw Enough()
            }
        } catch is Enough {}
        return first.map { LogCursor(position: $0 - min($0, LogLineQuery.lookBehind)) }
    }

    private func admits(_ line: LogEntry) -> Bool {
        query.since.map { line.time >= $0 } ?? true
            && (pattern.isEmpty || line.dropped > 0 || line.content.contains(pattern))
    }
}

/// Throws `invalidArgument` for a bound below zero.
func checkNotNegative(_ start: Int64, _ end: Int64, _ limit: Int32, _ offset: Int32) throws(EngineError) {
    guard start >= 0, end >= 0, limit >= 0, offset >= 0 else {
        throw EngineError(.invalidArgument, "start_time, end_time, limit and offset cannot be negative")
    }
}

extension Joblet_Persist_LogLine {
    init(_ line: LogEntry, job: String) {
        self.init()
        jobID = job
        stream = line.stream == .stdout ? .stdout : .stderr
        timestamp = line.time
        sequence = line.position
        droppedBytes = line.dropped
        // For clients that know of no notes.
        content =
            line.dropped > 0
            ? Data("[joblet: \(line.dropped) bytes dropped]".utf8)
            : line.content.withUnsafeBufferPointer { Data($0) }
    }
}
