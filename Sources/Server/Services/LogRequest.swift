import Engine
import FoundationEssentials
import GRPCCore
import JobletAPI
import Storage

/// A GetJobLogs request, checked.
struct LogRequest {
    private let reading: LogReader.Request
    private let lastLines: Int?

    /// Throws `invalidArgument` for values that make no sense.
    init(_ message: Joblet_GetJobLogsReq, job: JobID) throws(EngineError) {
        let pattern = LinePattern(message.grep)
        guard message.grep.isEmpty || pattern != nil else {
            throw EngineError(.invalidArgument, "grep must be a text without a newline")
        }
        var streams: Set<LogStream> = []
        for name in message.streams {
            guard let stream = LogStream.allCases.first(where: { $0.name == name }) else {
                throw EngineError(.invalidArgument, "streams must be stdout or stderr, not '\(name.prefix(32))'")
            }
            streams.insert(stream)
        }
        guard message.since >= 0, message.until >= 0, message.tail >= 0 else {
            throw EngineError(.invalidArgument, "since, until and tail cannot be negative")
        }
        let query = LogQuery(
            job: job, streams: streams.isEmpty ? Set(LogStream.allCases) : streams,
            since: message.since == 0 ? nil : message.since, until: message.until == 0 ? nil : message.until,
            grep: pattern)
        // What is written from now on is later than a time that is over.
        let isOver = message.until > 0 && Double(message.until) / 1e9 < Date().timeIntervalSince1970
        reading = LogReader.Request(
            query: query, start: LogCursor(position: message.fromPosition),
            follows: isOver ? false : message.hasFollow ? message.follow : true)
        lastLines = message.tail == 0 ? nil : Int(message.tail)
    }

    /// Sends the log, a message a fragment; waits for the client where it is slow.
    func send(from engine: JobEngine, to response: RPCWriter<Joblet_DataChunk>) async throws {
        var reading = reading
        if let lastLines {
            reading.start = try await engine.logs.cursor(forLast: lastLines, of: reading)
        }
        try await engine.logs.read(reading) { page in
            try await response.write(contentsOf: LogRequest.messages(page))
        }
    }

    private static func messages(_ page: LogPage) -> [Joblet_DataChunk] {
        var messages: [Joblet_DataChunk] = []
        messages.reserveCapacity(page.fragments.count)
        page.forEach { fragment, bytes in
            var message = Joblet_DataChunk()
            message.stream = Int32(fragment.stream.rawValue)
            message.position = fragment.position
            message.timestamp = fragment.time
            if case .dropped(let count) = fragment.content { message.droppedBytes = count }
            message.payload = bytes.withUnsafeBufferPointer { Data($0) }
            messages.append(message)
        }
        return messages
    }
}
