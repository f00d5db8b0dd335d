import Storage

/// The lines of a job's two log files in the order in which they were written, as far as that can be told.
///
/// Workers of the original wrote batches beside each other, so neighbours may be swapped: lines pass through a window
/// that is ordered by time and, within a second, by sequence.
final class OriginalLogMerge {
    private static let windowLines = 4096
    private static let windowBytes = 8 << 20

    private var stdout: OriginalFile<OriginalLogLine>
    private var stderr: OriginalFile<OriginalLogLine>
    private var heads: (stdout: OriginalLogLine?, stderr: OriginalLogLine?) = (nil, nil)
    private var isBegun = false
    /// Lines in order of time and sequence; equal ones in the order in which they came.
    private var window: [OriginalLogLine] = []
    private var bytes = 0

    /// The lines of the files in a job's directory.
    init(directory: String) throws(StorageError) {
        stdout = try OriginalFile("\(directory)/stdout.log.gz")
        stderr = try OriginalFile("\(directory)/stderr.log.gz")
    }

    /// Lines that could not be decoded, and places where the files are damaged.
    var problems: (badLines: Int, damages: Int) {
        (stdout.badLines + stderr.badLines, stdout.damages + stderr.damages)
    }

    /// The next line; nil at the end.
    func next() throws(StorageError) -> OriginalLogLine? {
        while window.count < Self.windowLines, bytes < Self.windowBytes, let line = try read() {
            let place = window.lastIndex { !Self.isBefore(line, $0) }.map { $0 + 1 } ?? 0
            window.insert(line, at: place)
            bytes += line.content.count
        }
        guard let first = window.first else { return nil }
        window.removeFirst()
        bytes -= first.content.count
        return first
    }

    private static func isBefore(_ left: OriginalLogLine, _ right: OriginalLogLine) -> Bool {
        (left.time, left.sequence) < (right.time, right.sequence)
    }

    /// The earlier of the two files' next lines.
    private func read() throws(StorageError) -> OriginalLogLine? {
        if !isBegun {
            isBegun = true
            heads = (try stdout.next(), try stderr.next())
        }
        guard let left = heads.stdout else {
            guard let right = heads.stderr else { return nil }
            heads.stderr = try stderr.next()
            return right
        }
        if let right = heads.stderr, Self.isBefore(right, left) {
            heads.stderr = try stderr.next()
            return right
        }
        heads.stdout = try stdout.next()
        return left
    }
}
