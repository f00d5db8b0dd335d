import Storage

/// Which objects hold which jobs' logs: what a listing and the packs' indexes say.
///
/// A job costs about a hundred bytes here; the places of its blocks are read when it is asked for.
struct S3Catalogue {
    /// A pack: an object with blocks of several jobs.
    struct Pack {
        var size: Int
        /// The jobs in it, and how many of these were deleted.
        var jobs: Set<JobID>
        var deleted = 0
    }

    static let packsFolder = "packs/"
    static let deletedFolder = "deleted/"

    /// Keys of the objects with blocks of a job, in no order.
    private(set) var keys: [JobID: Set<String>] = [:]
    private(set) var packs: [String: Pack] = [:]
    var deleted: Set<JobID> = []
    /// Counts the changes, for whoever read the state before a pause.
    private(set) var version: UInt64 = 0

    /// Notes an object of one job.
    mutating func add(key: String, of job: JobID) {
        version += 1
        keys[job, default: []].insert(key)
    }

    /// Notes a pack.
    mutating func add(pack key: String, size: Int, jobs: Set<JobID>) {
        version += 1
        var pack = Pack(size: size, jobs: jobs)
        for job in jobs {
            if deleted.contains(job) { pack.deleted += 1 } else { keys[job, default: []].insert(key) }
        }
        packs[key] = pack
    }

    /// Forgets a pack that was removed.
    mutating func remove(pack key: String) {
        version += 1
        guard let pack = packs.removeValue(forKey: key) else { return }
        for job in pack.jobs where keys[job]?.remove(key) != nil && keys[job]?.isEmpty == true { keys[job] = nil }
    }

    /// Forgets a deleted job; returns the objects that are of no use any more.
    mutating func bury(_ job: JobID) -> [String] {
        version += 1
        deleted.insert(job)
        var useless: [String] = []
        for key in keys.removeValue(forKey: job) ?? [] {
            guard let pack = packs[key] else {
                useless.append(key)
                continue
            }
            packs[key]?.deleted += 1
            if pack.deleted + 1 == pack.jobs.count { useless.append(key) }
        }
        return useless
    }

    /// The packs that one merge should take: small ones where there are many, and those half deleted.
    func packsToMerge(smallPacks: Int, packBytes: Int) -> [String] {
        let wasteful = packs.filter { $0.value.deleted * 2 > $0.value.jobs.count }
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

    private static func digits(_ value: UInt64, _ count: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
