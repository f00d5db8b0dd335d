import Foundation
import Glibc
public import Storage
import Synchronization

/// Tells how far a copy is, in one line of the terminal; silent where standard error is none.
public final class ProgressLine: Sendable {
    /// What is counted, and whether the whole is known from the beginning.
    public enum Unit: Sendable {
        /// Bytes, of a known number.
        case bytes
        /// Entries of that name, of which nobody knows how many there are.
        case entries(String)
    }

    private let title: String
    private let unit: Unit
    private let isShown = isatty(STDERR_FILENO) == 1
    private let start = ContinuousClock.now
    private let last = Mutex<ContinuousClock.Instant?>(nil)

    /// A line that begins with `title`.
    public init(_ title: String, _ unit: Unit) {
        self.title = title
        self.unit = unit
    }

    /// Shows how far it is, ten times a second at most.
    public func update(_ progress: CopyProgress) {
        guard isShown else { return }
        let now = ContinuousClock.now
        let isDue = last.withLock { last in
            if let last, now - last < .milliseconds(100) { return false }
            last = now
            return true
        }
        if isDue { write("\r\(text(progress, after: (now - start) / .seconds(1)))\u{1b}[K") }
    }

    /// Takes the line away.
    public func end() {
        if isShown { write("\r\u{1b}[K") }
    }

    /// The line `seconds` after the beginning.
    func text(_ progress: CopyProgress, after seconds: Double) -> String {
        let rate = seconds > 0 ? Double(progress.units) / seconds : 0
        switch unit {
        case .bytes:
            var text =
                "\(title): \(progress.jobs) of \(progress.totalJobs) jobs, \(Show.bytes(progress.units)) of "
                + "\(Show.bytes(progress.totalUnits)), \(Show.bytes(UInt64(rate)))/s"
            if rate > 0, progress.totalUnits >= progress.units {
                let left = Int(Double(progress.totalUnits - progress.units) / rate)
                text += ", \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
            }
            return text
        case .entries(let name):
            return "\(title): \(Show.count(progress.jobs, "job")), \(progress.units) \(name), \(UInt64(rate))/s"
        }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
