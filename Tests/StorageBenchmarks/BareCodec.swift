import Backends
import BenchmarkSupport

/// What the compressor alone makes of a log: the floor of what stores do with it.
struct BareCodec {
    /// Seconds to compress all of it, in members as the stores have them.
    let compressSeconds: Double
    /// Seconds of CPU time that this took.
    let compressProcessorSeconds: Double
    /// Seconds to inflate all of it.
    let inflateSeconds: Double
    /// The length of the text divided by that of its members.
    let ratio: Double

    init(_ log: SampleLog) throws {
        let gzip = Gzip()
        var members: [[UInt8]] = []
        members.reserveCapacity(log.count)
        var member: [UInt8] = []
        var (seconds, processorSeconds) = (0.0, 0.0)
        for index in 0..<log.count {
            let text = log.text(of: index)
            let (start, before) = (ContinuousClock.now, ownProcessorSeconds())
            text.withUnsafeBytes { gzip.compress($0, into: &member) }
            seconds += (ContinuousClock.now - start).seconds
            processorSeconds += ownProcessorSeconds() - before
            members.append(Array(member))
        }
        compressSeconds = seconds
        compressProcessorSeconds = processorSeconds
        ratio = Double(log.bytes) / Double(members.reduce(0) { $0 + $1.count })
        var text = [UInt8](repeating: 0, count: SampleLog.runBytes)
        let start = ContinuousClock.now
        for member in members {
            let length = try member.withUnsafeBytes { source in
                try text.withUnsafeMutableBytes { try gzip.inflate(source, into: $0) }
            }
            guard length == text.count else { throw Wrong("a member inflates to \(length) bytes") }
        }
        inflateSeconds = (ContinuousClock.now - start).seconds
    }
}

/// The floors of a backend's figures, in MB a second.
struct CodecRates {
    let compress: Double
    /// MB a second of CPU time.
    let compressPerCore: Double
    let inflate: Double
    /// Of the text and its members alone.
    let ratio: Double
    let linesPerMegabyte: Double

    /// The medians of `codecs`, each of all of `log`.
    init(_ codecs: [BareCodec], _ log: SampleLog) {
        compress = codecs.map { log.megabytes / $0.compressSeconds }.median
        compressPerCore = codecs.map { log.megabytes / $0.compressProcessorSeconds }.median
        inflate = codecs.map { log.megabytes / $0.inflateSeconds }.median
        ratio = codecs.map(\.ratio).median
        linesPerMegabyte = Double(log.lines) / log.megabytes
    }
}
