import Storage

/// Where the journal has the newest record of each job that memory holds: a daemon can start from the journal alone.
///
/// A file stays while it has such a record, shipped or not. So that a job that runs for weeks keeps no file for weeks,
/// the records of the oldest files are carried over to the newest.
struct HeldEntries {
    /// Where an entry lies.
    struct Place: Sendable, Hashable {
        let job: JobID
        let file: UInt64
        let range: Range<Int>
    }

    private var newest: [JobID: Place] = [:]
    private var counts: [UInt64: Int] = [:]

    /// Whether a file has the newest record of a job.
    func has(_ file: UInt64) -> Bool { counts[file] != nil }

    /// The places in a file, in their order.
    func places(in file: UInt64) -> [Place] {
        guard has(file) else { return [] }
        return newest.values.filter { $0.file == file }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    }

    /// The entry at `place` is its job's newest.
    mutating func hold(_ entry: JournalEntry, at place: Place) {
        release(entry.job)
        // A tombstone is needed until the stores have it, and no longer.
        if !entry.isDeletion { hold(place) }
    }

    /// The entry at `old` lies at `place` now; nothing happens where the job has a newer one, or none.
    mutating func move(_ old: Place, to place: Place) {
        guard newest[old.job] == old else { return }
        release(old.job)
        hold(place)
    }

    /// The entry at `place` counts no more.
    mutating func release(_ place: Place) {
        if newest[place.job] == place { release(place.job) }
    }

    /// The job's record is needed no more; the file that was held by nothing else.
    @discardableResult
    mutating func release(_ job: JobID) -> UInt64? {
        guard let place = newest.removeValue(forKey: job), let count = counts[place.file] else { return nil }
        counts[place.file] = count > 1 ? count - 1 : nil
        return count > 1 ? nil : place.file
    }

    private mutating func hold(_ place: Place) {
        newest[place.job] = place
        counts[place.file, default: 0] += 1
    }
}
