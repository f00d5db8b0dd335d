import Storage

/// One job's samples: those in its files, and those that wait in memory for the next member.
final class JobMetrics {
    /// How many samples wait for a `sync` before they are written without one: an hour's at the usual interval.
    private static let waitingSamples = 720

    /// A file and, once it was read, what it holds.
    private struct MetricFile {
        let number: Int64
        var table: (members: [MetricMember], length: UInt64)?
    }

    let job: JobID
    let files: MetricFiles
    private let durability: Durability
    private let fileBytes: UInt64
    private let codec: MetricCodec
    private var stored: [MetricFile] = []
    /// The last file as it was when it was read or written.
    private var identity: File.Identity?
    private var isLoaded = false
    /// The first file of which nothing is whole.
    private(set) var damagedFile: String?
    private var storedEnd: UInt64 = 0
    private var waiting: [MetricSample] = []
    /// The sequence of the next sample.
    private(set) var end: UInt64 = 0

    /// The samples of `job`; a file takes no more members once it has `fileBytes` bytes.
    init(job: JobID, files: MetricFiles, durability: Durability, fileBytes: UInt64, codec: MetricCodec) {
        self.job = job
        self.files = files
        self.durability = durability
        self.fileBytes = fileBytes
        self.codec = codec
    }

    /// Whether there are samples, or were some that the writer gave up.
    var isKnown: Bool { end > 0 }

    /// Whether there are samples.
    var hasSamples: Bool { !stored.isEmpty || !waiting.isEmpty }

    /// Whether nothing waits in memory.
    var isClean: Bool { waiting.isEmpty && end == storedEnd }

    /// Looks whether the files are still those that are known; reads them again where they are not.
    ///
    /// Files removed by hand take what waits in memory with them: the writer is told by `gap(expected:)`.
    func refresh() throws(StorageError) {
        let current: File.Identity? =
            if let last = stored.last { try File.identity(of: files.path(last.number)) } else { nil }
        if isLoaded, current == identity { return }
        isLoaded = false
        codec.forget(job)
        waiting = []
        stored = try files.numbers().map { MetricFile(number: $0) }
        identity = nil
        damagedFile = nil
        (storedEnd, end) = (0, 0)
        while let last = stored.indices.last {
            guard let (bytes, identity) = try files.content(stored[last].number) else {
                stored.removeLast()
                continue
            }
            var table = MetricMember.table(bytes)
            // A host that stopped may have kept a member's length and not its bytes.
            while let member = table.members.last, member.isDamaged || !codec.isWhole(member, in: bytes) {
                table.members.removeLast()
                table.length = member.offset
            }
            guard let member = table.members.last else {
                // Nothing of it is whole; the next member of this name is written over it.
                damagedFile = files.place(stored[last].number, 0)
                stored.removeLast()
                continue
            }
            stored[last].table = table
            self.identity = identity
            (storedEnd, end) = (member.end, member.end)
            break
        }
        isLoaded = true
    }

    /// Takes samples that follow the end.
    func append(_ samples: ArraySlice<MetricSample>) throws(StorageError) {
        if waiting.count >= Self.waitingSamples { try seal() }
        guard let last = samples.last else { return }
        waiting += samples
        end = last.sequence + 1
    }

    /// Goes on at `sequence`, behind the end.
    func skip(to sequence: UInt64) throws(StorageError) {
        // A member's samples follow each other.
        try seal()
        end = sequence
    }

    /// Writes what waits as one member; returns the sequence up to which the files hold everything that was asked of
    /// them, nil where they hold nothing.
    func sync() throws(StorageError) -> UInt64? {
        try seal()
        return stored.isEmpty ? nil : storedEnd
    }

    private func seal() throws(StorageError) {
        guard let first = waiting.first, let last = waiting.last else { return }
        var (member, bytes) = codec.compress(waiting, first, last)
        var number = first.time
        var isNew = true
        if let file = stored.last, let table = file.table {
            if table.length < fileBytes || file.number == .max {
                (number, isNew) = (file.number, false)
                member.offset = table.length
            } else {
                number = max(number, file.number + 1)
            }
        }
        identity = try files.write(
            bytes, to: number, at: member.offset, durability: durability)
        if isNew {
            // Only the newest file's table is needed at every write.
            if let previous = stored.indices.last { stored[previous].table = nil }
            stored.append(MetricFile(number: number, table: ([], 0)))
        }
        stored[stored.count - 1].table?.members.append(member)
        stored[stored.count - 1].table?.length = member.offset + UInt64(member.length)
        storedEnd = member.end
        waiting = []
    }

    // MARK: Trimming

    /// Removes the oldest members until the rest takes at most `bytes`; returns what it takes then.
    ///
    /// Files go one by one, the oldest first, so that an interruption leaves a later beginning and no hole.
    func trim(to bytes: UInt64) throws(StorageError) -> UInt64 {
        try seal()
        var total: UInt64 = 0
        for place in stored.indices { total += try table(place).length }
        while total > bytes, !stored.isEmpty {
            let table = try table(0)
            let excess = total - bytes
            // The offset of the first member that stays; damage goes with what lies before it.
            let cut = table.members.first { !$0.isDamaged && $0.offset >= excess }?.offset ?? table.length
            if cut < table.length {
                try files.removeBeginning(of: stored[0].number, upTo: cut, durability: durability)
            } else {
                try files.remove(stored[0].number)
            }
            total -= cut
            codec.forget(job)
            isLoaded = false
            if cut < table.length { break }
            stored.removeFirst()
        }
        return total
    }

    // MARK: Reading

    /// The page of `query` from `sequence` on.
    func read(_ query: MetricQuery, from sequence: UInt64, limit: Int) throws(StorageError) -> MetricPage {
        var page = MetricPageBuilder(query, from: sequence, limit: limit)
        var place = try firstFile(query, from: sequence)
        while place < stored.count {
            for member in try table(place).members where member.end > page.position {
                if member.first >= query.endSequence ?? .max || page.isPast(member.earliest) {
                    return page.finished(at: end)
                }
                if let since = query.since, member.latest < since { continue }
                let samples: [MetricSample]
                do throws(StorageError) {
                    samples = try codec.samples(of: member, in: stored[place].number, of: self)
                } catch {
                    // What was read before the damage comes first.
                    guard case .corrupt = error, !page.isEmpty else { throw error }
                    return page.unfinished
                }
                for sample in samples where !page.add(sample) { return page.unfinished }
            }
            place += 1
        }
        for sample in waiting[waiting.partition(from: page.position)...] where !page.add(sample) {
            return page.unfinished
        }
        return page.finished(at: end)
    }

    /// The file from which a reader begins: nothing that it wants lies before.
    private func firstFile(_ query: MetricQuery, from sequence: UInt64) throws(StorageError) -> Int {
        var place = 0
        for next in stored.indices.dropFirst() {
            // A file's name is the time of its first sample, or a little more.
            if let since = query.since, stored[next].number < since {
                place = next
            } else if let first = try firstSequence(next) {
                if first > sequence { break }
                place = next
            }
        }
        return place
    }

    /// Nil where nothing in the file is whole.
    private func firstSequence(_ place: Int) throws(StorageError) -> UInt64? {
        if let table = stored[place].table { return table.members.first { !$0.isDamaged }?.first }
        let bytes = try files.read(stored[place].number, at: 0, count: MetricMember.headerSize) ?? []
        if let member = MetricMember.decode(bytes[...], at: 0) { return member.first }
        return try table(place).members.first { !$0.isDamaged }?.first
    }

    private func table(_ place: Int) throws(StorageError) -> (members: [MetricMember], length: UInt64) {
        if let table = stored[place].table { return table }
        guard let (bytes, _) = try files.content(stored[place].number) else {
            throw .corrupt(place: files.place(stored[place].number, 0))
        }
        let table = MetricMember.table(bytes)
        stored[place].table = table
        return table
    }

    /// What is held, files and memory.
    func statistics() throws(StorageError) -> MetricStatistics {
        var samples = UInt64(waiting.count)
        var bytes: UInt64 = 0
        var (earliest, latest) = (waiting.first?.time, waiting.last?.time)
        for place in stored.indices.reversed() {
            let table = try table(place)
            bytes += table.length
            for member in table.members.reversed() where !member.isDamaged {
                samples += UInt64(member.count)
                earliest = member.earliest
                latest = latest ?? member.latest
            }
        }
        return MetricStatistics(
            samples: samples, storedBytes: bytes, times: earliest.flatMap { first in latest.map { first...$0 } })
    }
}
