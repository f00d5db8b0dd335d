/// The host id ranges that jobs get: the lowest free one, so that few user namespaces are made.
struct IDRanges: Sendable {
    /// Ids in a range.
    static let size: UInt32 = 65_536

    private let first: UInt32
    private let count: Int
    private var used: Set<UInt32> = []

    /// `count` ranges from the host id `first` on.
    init(first: UInt32, count: Int) {
        self.first = first
        self.count = count
    }

    /// Takes a range; nil where all are taken.
    mutating func take() -> UInt32? {
        for index in 0..<UInt32(count) {
            let base = first + index * IDRanges.size
            if used.insert(base).inserted { return base }
        }
        return nil
    }

    /// Takes the range that an adopted job has.
    mutating func take(_ base: UInt32) { used.insert(base) }

    /// Gives a range back.
    mutating func release(_ base: UInt32) { used.remove(base) }
}
