public import Storage

/// Logs made from a seed: the same one gives the same log.
public struct SampleLog: RandomNumberGenerator {
    private var state: UInt64
    private var position: UInt64 = 0
    private var time: Int64 = 1_700_000_000_000_000_000

    /// A sequence of runs that `seed` determines.
    public init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// The next run: `fragments` of both streams, lines of text, one gap note in eight.
    public mutating func run(fragments: Int, gaps: Bool = true) -> FragmentRun {
        var run = FragmentRun(start: position)
        for _ in 0..<fragments {
            let stream = Bool.random(using: &self) ? LogStream.stdout : .stderr
            if gaps, Int.random(in: 0..<8, using: &self) == 0 {
                run.appendGap(stream: stream, time: time, dropped: UInt64.random(in: 1..<5000, using: &self))
            } else {
                run.append(stream: stream, time: time, bytes: text())
            }
            time += Int64.random(in: 0..<3, using: &self) * 1_000_003
        }
        position = run.end
        return run
    }

    /// That many runs of up to `fragments` fragments.
    public mutating func runs(_ count: Int, fragments: Int = 12, gaps: Bool = true) -> [FragmentRun] {
        (0..<count).map { _ in run(fragments: Int.random(in: 1...fragments, using: &self), gaps: gaps) }
    }

    /// A run of one fragment: `count` bytes of numbered lines.
    public mutating func lines(bytes count: Int, stream: LogStream = .stdout) -> FragmentRun {
        var text: [UInt8] = []
        text.reserveCapacity(count + 80)
        while text.count < count {
            text += "line at \(position + UInt64(text.count)), value \(next() % 1000)\n".utf8
        }
        var run = FragmentRun(start: position)
        run.append(stream: stream, time: time, bytes: text.prefix(count))
        position = run.end
        time += 1_000_000
        return run
    }

    private mutating func text() -> [UInt8] {
        let count = Int.random(in: 1...120, using: &self)
        let bytes = (0..<count).map { _ in UInt8.random(in: 32...126, using: &self) }
        // Most fragments end a line, some hold several, some break off.
        switch Int.random(in: 0..<4, using: &self) {
        case 0: return bytes
        case 1: return bytes + [UInt8(ascii: "\n")] + bytes + [UInt8(ascii: "\n")]
        default: return bytes + [UInt8(ascii: "\n")]
        }
    }
}

extension FragmentRun {
    /// A run of one fragment of text.
    public init(_ text: String, stream: LogStream = .stdout, at start: UInt64 = 0, time: Int64 = 1) {
        self.init(start: start)
        append(stream: stream, time: time, bytes: text.utf8)
    }
}
