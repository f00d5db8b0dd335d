/// The host id ranges that jobs get: the lowest free one, so that few user namespaces are made.
struct IDRanges: Sendable {
    /// Ids in a range.
    static let size: UInt32 = 65_536

    private let first: UInt32
    private let count: Int
    /// How many jobs have each range: more than one where an adopted job had it all along.
    private var used: [UInt32: Int] = [:]

    /// `count` ranges from the host id `first` on, fewer where the host's ids end before.
    init(first: UInt32, count: Int) {
        self.first = first
        self.count = max(0, count)
    }

    /// Takes a range; nil where all are taken.
    mutating func take() -> UInt32? {
        for index in 0..<count {
            // The host's ids end at 2^32 - 1, which means none.
            guard let base = UInt32(exactly: Int(first) + index * Int(IDRanges.size)),
                UInt32.max - base >= IDRanges.size
            else { return nil }
            guard used[base] == nil else { continue }
            used[base] = 1
            return base
        }
        return nil
    }

    /// Takes the range that an adopted job has.
    mutating func take(_ base: UInt32) { used[base, default: 0] += 1 }

    /// Whether several jobs have a range.
    func isShared(_ base: UInt32) -> Bool { used[base, default: 0] > 1 }

    /// Gives a range back.
    mutating func release(_ base: UInt32) {
        guard let count = used[base] else { return }
        used[base] = count > 1 ? count - 1 : nil
    }
}
