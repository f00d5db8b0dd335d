import FoundationEssentials
import JobletAPI
import Synchronization

/// Prints the output of a job as it arrives.
final class LogSink: Sendable {
    enum Format {
        /// The bytes of the job and nothing else.
        case raw
        /// One object in a line for each chunk.
        case json
        /// Lines with the time of their first byte in front.
        case timestamps
    }

    private let format: Format
    private let output: Int32
    private let state = Mutex(State())

    private struct State {
        var nextPosition: UInt64? = 0
        var lines = TimestampedLines()
    }

    init(_ format: Format, output: Int32 = 1) {
        self.format = format
        self.output = output
    }

    /// Where the next chunk begins; nil after chunks of a server that sends no positions.
    var nextPosition: UInt64? { state.withLock(\.nextPosition) }

    /// Prints one chunk.
    func take(_ chunk: Joblet_DataChunk) throws {
        switch format {
        case .raw:
            try write(chunk.payload)
        case .json:
            try write(Data((chunk.json.compact + "\n").utf8))
        case .timestamps:
            try write(state.withLock { $0.lines.add(chunk) })
        }
        if chunk.droppedBytes > 0 {
            StandardError.write("[joblet: \(chunk.droppedBytes) bytes dropped]")
        }
        let hasPosition = chunk.stream != 0 || chunk.timestamp != 0 || chunk.droppedBytes != 0
        let next = hasPosition ? chunk.position &+ UInt64(chunk.payload.count) : nil
        state.withLock { $0.nextPosition = next }
    }

    /// Prints what is left of lines that have no end.
    func finish() throws {
        try write(state.withLock { $0.lines.finish() })
    }

    private func write(_ bytes: Data) throws {
        try bytes.withUnsafeBytes { try StandardOutput.write($0, to: output) }
    }
}

extension Joblet_DataChunk {
    fileprivate var streamName: String {
        switch stream {
        case 1: "stdout"
        case 2: "stderr"
        default: ""
        }
    }

    /// Text with replacement characters where it is none; then the exact bytes beside it.
    fileprivate var json: JSON {
        var object = JSONObject()
        let text = String(validating: payload, as: UTF8.self)
        object.set("data", .string(text ?? String(decoding: payload, as: UTF8.self)))
        if text == nil { object.set("data_base64", .string(payload.base64EncodedString())) }
        object.set("timestamp", .string(TimeText.rfc3339(timestamp == 0 ? PointInTime.now : timestamp)))
        object.setIfAny("stream", streamName)
        object.set("position", .integer(position))
        object.setIfAny("dropped_bytes", droppedBytes)
        return object.json
    }
}
