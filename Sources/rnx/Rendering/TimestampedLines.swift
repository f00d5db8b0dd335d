import FoundationEssentials
import JobletAPI

/// Cuts the chunks of both streams into lines and puts times in front. A line is held back until it is whole; one that
/// is too long for that comes in pieces, of which all but the first are marked.
struct TimestampedLines {
    static let longest = 1 << 20
    private static let mark = "[continued] "

    private struct Partial {
        var timestamp: Int64
        var bytes: [UInt8] = []
        /// Whether the beginning of the line was written already.
        var isContinued = false
    }

    private var partials: [Int32: Partial] = [:]

    /// The lines that the chunk completes.
    mutating func add(_ chunk: Joblet_DataChunk) -> Data {
        var output = Data()
        var partial = partials[chunk.stream] ?? Partial(timestamp: chunk.timestamp)
        for part in chunk.payload.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            if part.offset > 0 {
                Self.write(partial, to: &output)
                partial = Partial(timestamp: chunk.timestamp)
            }
            partial.bytes += part.element
            if partial.bytes.count > Self.longest {
                Self.write(partial, to: &output)
                partial = Partial(timestamp: chunk.timestamp, isContinued: true)
            }
        }
        partials[chunk.stream] = partial.bytes.isEmpty && !partial.isContinued ? nil : partial
        return output
    }

    /// Lines without an end.
    mutating func finish() -> Data {
        var output = Data()
        for (_, partial) in partials.sorted(by: { $0.key < $1.key }) where !partial.bytes.isEmpty {
            Self.write(partial, to: &output)
        }
        partials = [:]
        return output
    }

    private static func write(_ line: Partial, to output: inout Data) {
        // Where a piece happened to end with its line there is nothing left to say.
        guard !line.isContinued || !line.bytes.isEmpty else { return }
        output += Data((TimeText.rfc3339(line.timestamp) + " ").utf8)
        if line.isContinued { output += Data(mark.utf8) }
        output += line.bytes
        output.append(0x0A)
    }
}
