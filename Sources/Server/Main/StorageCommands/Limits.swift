public import ArgumentParser
import Server

/// An age on the command line, in Go's syntax: `720h`.
public struct AgeArgument: ExpressibleByArgument, Sendable {
    /// Nanoseconds.
    public let nanoseconds: Int64

    /// Nil for what is no duration.
    public init?(argument: String) {
        guard let duration = GoDuration.parse(argument) else { return nil }
        nanoseconds = duration.wholeNanoseconds
    }
}

/// A size on the command line: `10GiB`.
public struct SizeArgument: ExpressibleByArgument, Sendable {
    /// Bytes.
    public let bytes: UInt64

    /// Nil for what is no size.
    public init?(argument: String) {
        guard let size = ByteSize.parse(argument) else { return nil }
        bytes = UInt64(size)
    }
}

extension Duration {
    /// The duration in nanoseconds, at most what 64 bits count.
    public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carried ? .max : sum
    }
}
