import FoundationEssentials
import JobletAPI

/// Cuts the chunks of both streams into lines and puts times in front. A line is held back until it is whole or long.
struct TimestampedLines {
    static let longest = 1 << 16

    private struct Partial {
        var timestamp: Int64
        var bytes: [UInt8]
    }

    private var partials: [Int32: Partial] = [:]

    /// The lines that the chunk completes.
    mutating func add(_ chunk: Joblet_DataChunk) -> Data {
        var output = Data()
        var partial = partials[chunk.stream] ?? Partial(timestamp: chunk.timestamp, bytes: [])
        for part in chunk.payload.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            if part.offset > 0 {
                Self.write(partial, to: &output)
                partial = Partial(timestamp: chunk.timestamp, bytes: [])
            }
            partial.bytes += part.element
            if partial.bytes.count > Self.longest {
                Self.write(partial, to: &output)
                partial = Partial(timestamp: chunk.timestamp, bytes: [])
            }
        }
        partials[chunk.stream] = partial.bytes.isEmpty ? nil : partial
        return output
    }

    /// Lines without an end.
    mutating func finish() -> Data {
        var output = Data()
        for (_, partial) in partials.sorted(by: { $0.key < $1.key }) { Self.write(partial, to: &output) }
        partials = [:]
        return output
    }

    private static func write(_ line: Partial, to output: inout Data) {
        output += Data((TimeText.rfc3339(line.timestamp) + " ").utf8)
        output += line.bytes
        output.append(0x0A)
    }
}
