import Backends
import Storage

/// A store that keeps jobs' data in S3, block by block: what logs and samples have in common.
///
/// `append` gathers in memory, where readers see it. What exceeds `objectBytes` of a job is written by itself; what
/// `synced` asks for is written together with what other calls ask for within `gather` milliseconds. What it
/// reported is in S3. One process writes a node's keys at a time; it lists them once, at its first call.
protocol S3Store: Actor {
    associatedtype Series: S3Series
    /// What readers make of a block.
    associatedtype Content
    typealias Object = S3Object<Series.Header>

    nonisolated var bucket: S3Bucket { get }
    nonisolated var configuration: S3Configuration { get }
    var state: S3StoreState<Series, Content> { get }

    /// Compresses the tail of a series into a block that waits to be written.
    func seal(_ series: Series)
    /// The content of a block; nil where its bytes are not those that its header says.
    func content(of block: Object.Block) -> Content?
    /// Text of blocks that follow each other and become one where packs are merged; nothing is joined for 0.
    nonisolated var joinedBytes: Int { get }
    /// Blocks of a job that follow each other as one; nil where they stay as they are.
    func joining(_ blocks: [Object.Block]) -> Object.Block?
    /// A job's series with these blocks in objects.
    func makeSeries(of job: JobID, with blocks: [Object.Stored]) async throws(StorageError) -> Series
}

/// What a store in S3 knows and has under way; belongs to the store's actor.
final class S3StoreState<Series: S3Series, Content> {
    /// Jobs that are remembered before the one that was not used for longest is forgotten.
    static var rememberedJobs: Int { 256 }

    var catalogue = S3Catalogue()
    var series: [JobID: Series] = [:]
    /// Blocks that were read last, the newest at the end.
    var recent: [(job: JobID, header: Series.Header, content: Content)] = []
    /// Parts of objects some of whose blocks wait for a reader, the one that was used last at the end.
    var parts: [S3Part] = []
    /// Jobs that are being trimmed, to which nobody may append meanwhile.
    var trimming: Set<JobID> = []
    /// Bytes of all jobs that wait to be written.
    var bytesInMemory = 0
    /// Jobs to be written by the cycle that is `scheduled`, after the one that is `running`.
    var pending: Set<JobID> = []
    /// Bytes of text of each job that the cycle under way writes.
    var uploading: [JobID: Int] = [:]
    var scheduled: Task<[JobID: StorageError], Never>?
    var running: Task<[JobID: StorageError], Never>?
    fileprivate var isReady = false
    fileprivate var opening: Task<Result<S3Catalogue, StorageError>, Never>?
    fileprivate let now: @Sendable () -> Int64
    /// Counts the uses of series.
    fileprivate var uses: UInt64 = 0

    init(now: @escaping @Sendable () -> Int64) {
        self.now = now
    }
}

extension S3Store {
    /// Bytes of all jobs that wait to be written.
    var bytesInMemory: Int { state.bytesInMemory }

    /// Reads what is there, once.
    func open() async throws(StorageError) {
        while !state.isReady {
            let running: Task<Result<S3Catalogue, StorageError>, Never>
            if let opening = state.opening {
                running = opening
            } else {
                let (bucket, time) = (bucket, state.now())
                running = Task {
                    do throws(StorageError) {
                        return .success(try await S3Catalogue.load(bucket, of: Series.Header.self, now: time))
                    } catch {
                        return .failure(error)
                    }
                }
                state.opening = running
            }
            let result = await running.value
            if state.opening == running { state.opening = nil }
            if state.isReady { return }
            state.catalogue = try result.get()
            state.isReady = true
        }
    }

    /// The jobs that the store has, ascending.
    func listedJobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await open()
        var found = Set(state.catalogue.jobs)
        found.formUnion(state.series.values.filter(\.exists).map(\.job))
        let later = found.filter { id in
            !state.catalogue.deleted.contains(id) && (job.map { id > $0 } ?? true)
        }
        return Array(later.sorted().prefix(max(0, limit)))
    }

    /// What the jobs take, ascending; each object's index is read once for all of them.
    func listedUsages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        while true {
            let jobs = try await listedJobs(after: job, limit: limit)
            do throws(StorageError) {
                let (blocks, damaged) = try await loadBlocks(of: jobs.filter { state.series[$0] == nil })
                return jobs.compactMap { job in
                    if let series = state.series[job], series.exists {
                        return JobUsage(job: job, storedBytes: series.storedBytes, times: series.times)
                    }
                    if damaged[job] != nil { return JobUsage(job: job, storedBytes: 0, times: nil) }
                    // Deleted since they were listed.
                    guard let blocks = blocks[job] else { return nil }
                    return JobUsage(
                        job: job, storedBytes: blocks.reduce(0) { $0 + $1.size },
                        times: blocks.reduce(nil) { $1.header.times.united(with: $0) })
                }
            } catch {
                // An object was merged into another meanwhile, or removed by hand.
                if error != .notFound { throw error }
            }
        }
    }

    /// A job's series as it stands in objects and in memory; throws `notFound` where readers find nothing.
    func existingSeries(of job: JobID) async throws(StorageError) -> Series {
        try await open()
        guard let series = try await series(of: job), series.exists else { throw .notFound }
        return series
    }

    /// A job's series as it stands in objects and in memory; nil where there is none.
    func series(of job: JobID) async throws(StorageError) -> Series? {
        state.uses += 1
        while true {
            if let series = state.series[job] {
                series.lastUse = state.uses
                return series
            }
            guard state.catalogue.keys[job] != nil, !state.catalogue.deleted.contains(job) else { return nil }
            let version = state.catalogue.version
            let series: Series
            do throws(StorageError) {
                let (blocks, damaged) = try await loadBlocks(of: [job])
                if let failure = damaged[job] { throw failure }
                series = try await makeSeries(of: job, with: blocks[job] ?? [])
            } catch {
                // Its pack was merged into another meanwhile, or an object was removed by hand.
                if error == .notFound { continue }
                throw error
            }
            // Whoever came first is right, and what changed meanwhile is read again.
            guard state.series[job] == nil, state.catalogue.version == version else { continue }
            forgetUnused()
            series.lastUse = state.uses
            state.series[job] = series
            return series
        }
    }

    private func forgetUnused() {
        guard state.series.count >= S3StoreState<Series, Content>.rememberedJobs else { return }
        let unused = state.series.values.filter { $0.isClean && !state.trimming.contains($0.job) }
            .min { $0.lastUse < $1.lastUse }
        if let unused { state.series[unused.job] = nil }
    }

    /// The blocks of some jobs in objects, by place, and the jobs some of whose objects are damaged.
    ///
    /// What two objects hold, after an interrupted merge, is there once.
    private func loadBlocks(
        of jobs: [JobID]
    ) async throws(StorageError) -> (blocks: [JobID: [Object.Stored]], damaged: [JobID: StorageError]) {
        var wanted: [String: Set<JobID>] = [:]
        for job in jobs {
            for key in state.catalogue.keys[job] ?? [] { wanted[key, default: []].insert(job) }
        }
        var blocks: [JobID: [Object.Stored]] = [:]
        var damaged: [JobID: StorageError] = [:]
        for (key, jobs) in wanted.sorted(by: { $0.key < $1.key }) {
            let entries: [Object.Entry]
            do throws(StorageError) {
                entries = try await bucket.index(of: key)
            } catch {
                if error == .notFound { for job in jobs { forget(key, of: job) } }
                guard case .corrupt = error else { throw error }
                for job in jobs { damaged[job] = error }
                continue
            }
            for entry in entries where jobs.contains(entry.job) {
                let trim = state.catalogue.trims[entry.job]
                if let trim, key != trim.key(of: entry.job), entry.header.start < trim.end { continue }
                blocks[entry.job, default: []].append(Object.Stored(header: entry.header, key: key))
            }
        }
        return (blocks.mapValues { Self.inOrder($0) }, damaged)
    }

    private static func inOrder(_ blocks: [Object.Stored]) -> [Object.Stored] {
        var end = LogCursor.start
        return blocks.sorted { $0.header.comesBefore($1.header) }.filter { block in
            guard block.header.start >= end, block.header.end > block.header.start else { return false }
            end = block.header.end
            return true
        }
    }

    /// Forgets an object that is not there: whoever removed it gave up what it held.
    func forget(_ key: String, of job: JobID) {
        guard state.catalogue.keys[job]?.contains(key) == true else { return }
        state.catalogue.remove(pack: key)
        state.catalogue.remove(key: key, of: [job])
        for series in state.series.values { series.blocks.removeAll { $0.key == key } }
    }
}
