import FoundationEssentials
import JobletAPI
import Storage
import SwiftProtobuf

extension Joblet_Ipc_Fragments {
    private static let droppedFlag: UInt8 = 0x80

    init(_ fragments: some Collection<Fragment>, content: Data) {
        self.init()
        kinds.reserveCapacity(fragments.count)
        positions.reserveCapacity(fragments.count)
        times.reserveCapacity(fragments.count)
        sizes.reserveCapacity(fragments.count)
        var last: Int64 = 0
        for fragment in fragments {
            positions.append(fragment.position)
            times.append(fragment.time &- last)
            last = fragment.time
            switch fragment.content {
            case .bytes(let count):
                kinds.append(fragment.stream.rawValue)
                sizes.append(UInt64(count))
            case .dropped(let count):
                kinds.append(fragment.stream.rawValue | Self.droppedFlag)
                sizes.append(count)
            }
        }
        self.content = content
    }

    /// The fragments, whose bytes lie one after another in `content`.
    func list() throws(MalformedMessage) -> [Fragment] {
        guard positions.count == kinds.count, times.count == kinds.count, sizes.count == kinds.count else {
            throw MalformedMessage("columns of fragments differ in length")
        }
        var fragments: [Fragment] = []
        fragments.reserveCapacity(kinds.count)
        var left = UInt64(content.count)
        var time: Int64 = 0
        for (index, kind) in kinds.enumerated() {
            guard let stream = LogStream(rawValue: kind & ~Self.droppedFlag) else {
                throw MalformedMessage("a stream with the number \(kind)")
            }
            time &+= times[index]
            let size = sizes[index]
            var piece = Fragment(stream: stream, position: positions[index], time: time, content: .dropped(bytes: size))
            if kind & Self.droppedFlag == 0 {
                guard size <= left, !piece.position.addingReportingOverflow(size).overflow else {
                    throw MalformedMessage("fragments longer than their bytes")
                }
                left -= size
                piece.content = .bytes(count: Int(size))
            }
            fragments.append(piece)
        }
        guard left == 0 else { throw MalformedMessage("bytes that belong to no fragment") }
        return fragments
    }
}

extension Joblet_Ipc_AppendLog {
    init(_ run: FragmentRun, job: JobID) {
        self.init()
        self.job = job.message
        start = run.start
        fragments = Joblet_Ipc_Fragments(run.fragments, content: Data(run.bytes))
    }

    /// The run; its fragments follow each other.
    func run() throws(MalformedMessage) -> FragmentRun {
        let list = try fragments.list()
        var position = start
        for fragment in list {
            guard fragment.position == position else { throw MalformedMessage("a run with a gap in its positions") }
            position = fragment.end
        }
        return FragmentRun(start: start, fragments: list, bytes: [UInt8](fragments.content))
    }
}

extension LogQuery {
    init(_ message: Joblet_Ipc_LogQuery) {
        self.init(
            job: JobID(message.job), streams: [], since: message.hasSince ? message.since : nil,
            until: message.hasUntil ? message.until : nil,
            endPosition: message.hasEndPosition ? message.endPosition : nil)
        if message.standardOutput { streams.insert(.stdout) }
        if message.standardError { streams.insert(.stderr) }
        grep = message.hasGrep ? LinePattern(message.grep) : nil
        endsLines = !message.leavesCutLines
    }

    /// The query as a message.
    var message: Joblet_Ipc_LogQuery {
        .with { message in
            message.job = job.message
            message.standardOutput = streams.contains(.stdout)
            message.standardError = streams.contains(.stderr)
            if let since { message.since = since }
            if let until { message.until = until }
            if let endPosition { message.endPosition = endPosition }
            if let grep { message.grep = Data(grep.bytes) }
            message.leavesCutLines = !endsLines
        }
    }
}

extension LogCursor {
    init(_ message: Joblet_Ipc_LogCursor) {
        self.init(position: message.position, gaps: count(message.gaps))
    }

    /// The cursor as a message.
    var message: Joblet_Ipc_LogCursor {
        .with { message in
            message.position = position
            message.gaps = UInt64(Swift.max(0, gaps))
        }
    }
}

extension LogPage {
    init(_ message: Joblet_Ipc_LogPage) throws(MalformedMessage) {
        self.init(
            fragments: try message.fragments.list(), bytes: [UInt8](message.fragments.content),
            next: LogCursor(message.next), isLast: message.isLast)
    }

    /// The page as a message.
    var message: Joblet_Ipc_LogPage {
        .with { message in
            message.fragments = Joblet_Ipc_Fragments(fragments, content: Data(bytes))
            message.next = next.message
            message.isLast = isLast
        }
    }
}

extension LogStatistics {
    init(_ message: Joblet_Ipc_LogStatistics) throws(MalformedMessage) {
        self.init(
            bytes: message.bytes, lines: message.lines, storedBytes: message.storedBytes,
            times: try range(
                message.hasEarliest ? message.earliest : nil, message.hasLatest ? message.latest : nil))
    }

    /// The statistics as a message.
    var message: Joblet_Ipc_LogStatistics {
        .with { message in
            message.bytes = bytes
            message.lines = lines
            message.storedBytes = storedBytes
            if let times {
                message.earliest = times.lowerBound
                message.latest = times.upperBound
            }
        }
    }
}

/// The range between two times; nil without any.
func range(_ first: Int64?, _ last: Int64?) throws(MalformedMessage) -> ClosedRange<Int64>? {
    guard let first, let last else { return nil }
    guard first <= last else { throw MalformedMessage("a range that ends before it begins") }
    return first...last
}
