import Backends
import Storage

/// Which objects hold which jobs' data: what a listing and the packs' indexes say.
///
/// A job costs about a hundred bytes here; the places of its blocks are read when it is asked for.
struct S3Catalogue {
    /// A pack: an object with blocks of several jobs.
    struct Pack {
        var size: Int
        /// The jobs in it, and of how many of these it holds nothing that counts any more.
        var jobs: Set<JobID>
        var dead = 0
        /// Whether its index or its blocks were found damaged: it stays as it is.
        var isDamaged = false
    }

    /// Where trimmed data begins: with the blocks of an object, in place of everything before their end.
    struct Trim: Equatable {
        /// The position of the object's first block.
        var start: UInt64
        /// The end of its last one: of all other objects only blocks from here on count.
        var end: LogCursor

        /// Whether the object holds no blocks.
        var isEmpty: Bool { end == LogCursor(position: start) }

        /// The object's key.
        func key(of job: JobID) -> String {
            "\(job)/\(trimmed)\(digits(start, 16))-\(digits(end.position, 16))-\(digits(UInt64(end.gaps), 8))"
        }
    }

    static let packsFolder = "packs/"
    static let deletedFolder = "deleted/"

    /// Keys of the objects with blocks of a job, in no order.
    private(set) var keys: [JobID: Set<String>] = [:]
    private(set) var packs: [String: Pack] = [:]
    var trims: [JobID: Trim] = [:]
    var deleted: Set<JobID> = []
    /// Objects of deleted jobs that are still to be removed.
    var doomed: [JobID: Set<String>] = [:]
    /// Keys of packs whose index could not be read when the store was opened: whose blocks they hold, nobody knows.
    private(set) var unreadable: Set<String> = []
    /// Counts the changes, for whoever read the state before a pause.
    private(set) var version: UInt64 = 0

    /// The jobs of which anything is left, in no order.
    var jobs: some Sequence<JobID> { keys.keys.lazy.filter { holds($0) } }

    /// Whether anything of a job is left.
    func holds(_ job: JobID) -> Bool {
        guard let keys = keys[job] else { return false }
        // What says that everything was trimmed is an object too.
        guard keys.count == 1, let trim = trims[job], trim.isEmpty else { return true }
        return !keys.contains(trim.key(of: job))
    }

    /// Notes an object of one job.
    mutating func add(key: String, of job: JobID) {
        version += 1
        keys[job, default: []].insert(key)
    }

    /// Notes a pack.
    mutating func add(pack key: String, size: Int, entries: [S3Object<some ObjectHeader>.Entry]) {
        version += 1
        let live = Set(entries.filter { isLive($0) }.map(\.job))
        let jobs = Set(entries.map(\.job))
        for job in live { keys[job, default: []].insert(key) }
        packs[key] = Pack(size: size, jobs: jobs, dead: jobs.count - live.count)
    }

    /// Notes a pack whose index is damaged.
    mutating func add(unreadablePack key: String) { unreadable.insert(key) }

    /// Notes that a pack was found damaged; it is merged no more.
    mutating func note(damagedPack key: String) { packs[key]?.isDamaged = true }

    /// Whether a block of a pack counts: its job was not deleted, and its part of the data not given up.
    func isLive(_ entry: S3Object<some ObjectHeader>.Entry) -> Bool {
        !deleted.contains(entry.job) && trims[entry.job].map { entry.header.start >= $0.end } ?? true
    }

    /// Forgets an object that was removed.
    mutating func remove(key: String, of jobs: some Sequence<JobID>) {
        version += 1
        for job in jobs where keys[job]?.remove(key) != nil && keys[job]?.isEmpty == true { keys[job] = nil }
    }

    /// Forgets a pack that was removed.
    mutating func remove(pack key: String) {
        remove(key: key, of: packs.removeValue(forKey: key)?.jobs ?? [])
    }

    /// Forgets a deleted job; objects that are of no use any more are doomed.
    mutating func bury(_ job: JobID) {
        version += 1
        deleted.insert(job)
        trims[job] = nil
        let useless = (keys.removeValue(forKey: job) ?? []).filter { leave($0) }
        if !useless.isEmpty { doomed[job, default: []].formUnion(useless) }
    }

    /// Lets a job's data begin with the object of `trim`, and be in `kept` from there on; returns the objects that are
    /// of no use any more.
    mutating func trim(_ job: JobID, by trim: Trim, keeping kept: Set<String>) -> [String] {
        version += 1
        trims[job] = trim
        let old = keys.updateValue(kept.union([trim.key(of: job)]), forKey: job) ?? []
        return old.subtracting(kept).filter { leave($0) }
    }

    /// Counts that a job has nothing in an object any more; whether nobody has.
    private mutating func leave(_ key: String) -> Bool {
        guard let pack = packs[key] else { return true }
        packs[key]?.dead += 1
        return pack.dead + 1 == pack.jobs.count
    }

    /// The packs that one merge should take: small ones where there are many, and those half dead.
    func packsToMerge(smallPacks: Int, packBytes: Int) -> [String] {
        let packs = packs.filter { !$0.value.isDamaged }
        let wasteful = packs.filter { $0.value.dead * 2 > $0.value.jobs.count }
        let small = packs.filter { $0.value.size < packBytes / 2 }
        var chosen = wasteful
        if small.count >= smallPacks { chosen.merge(small) { first, _ in first } }
        var size = 0
        // What is merged at once is in memory at once.
        return chosen.sorted { $0.key < $1.key }.prefix { entry in
            size += entry.value.size
            return size <= 4 * packBytes
        }.map(\.key)
    }

    /// Where a job's own object goes that begins at `place`; gap notes take no position, so they count too.
    static func key(of job: JobID, at place: LogCursor) -> String {
        "\(job)/\(digits(place.position, 16))-\(digits(UInt64(place.gaps), 8))"
    }
}

/// How the names of objects begin with which trimmed data begins.
private let trimmed = "trimmed-"

private func digits(_ value: UInt64, _ count: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, count - text.count)) + text
}

/// The numbers of a name as `digits` writes them; nil where it is not one of `count`.
private func numbers(_ name: Substring, count: Int) -> [UInt64]? {
    let numbers = name.split(separator: "-", omittingEmptySubsequences: false).map { UInt64($0, radix: 16) }
    return numbers.count == count && !numbers.contains(nil) ? numbers.compactMap(\.self) : nil
}

extension LogCursor {
    /// The place at which a job's own object of that name begins.
    init?(objectName name: Substring) {
        guard let numbers = numbers(name, count: 2), let gaps = Int(exactly: numbers[1]) else { return nil }
        self.init(position: numbers[0], gaps: gaps)
    }
}

extension S3Catalogue.Trim {
    /// What the name of an object says with which trimmed data begins.
    init?(objectName name: Substring) {
        guard name.hasPrefix(trimmed), let numbers = numbers(name.dropFirst(trimmed.count), count: 3),
            let gaps = Int(exactly: numbers[2])
        else { return nil }
        self.init(start: numbers[0], end: LogCursor(position: numbers[1], gaps: gaps))
    }
}
