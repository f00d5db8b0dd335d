import Backends
import Storage

/// Compressed bytes that one request reads at most, but for a single block.
private let readBytes: UInt64 = 4 << 20
/// Blocks that stay in memory after they were read.
private let recentBlocks = 4
/// Parts of objects that stay in memory until their blocks are read: as many as readers whose last block does.
private let keptParts = recentBlocks

extension S3Store {
    /// Calls `body`, which reads objects of a job, again where one went between two requests: its pack was merged, or
    /// it was removed by hand.
    func whileObjectsMove<Value>(
        of job: JobID, _ body: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
        var idle = 0
        while idle < 5 {
            let version = state.catalogue.version
            do throws(StorageError) {
                return try await body()
            } catch {
                let isThere = state.series[job].map(\.exists) ?? state.catalogue.holds(job)
                guard error == .notFound, isThere else { throw error }
                // An object that is forgotten is a step forward.
                idle = state.catalogue.version == version ? idle + 1 : 0
            }
        }
        throw .corrupt(place: bucket.place(job.description))
    }

    /// The content of the block `first` and of those that `isTaken` wants behind it, of which one request can read all;
    /// it may be less than that, for what is in memory.
    ///
    /// Where the block before was read last, what is wanted behind these is read with them, and waits for its reader.
    func contents(
        from first: Int, in blocks: [Object.Stored], of job: JobID, where isWanted: (Series.Header) -> Bool,
        isTaken: (Series.Header) -> Bool
    ) async throws(StorageError) -> [Content] {
        let start = blocks[first].header.start
        if let known = state.recent.first(where: { $0.job == job && $0.header == blocks[first].header }) {
            return [known.content]
        }
        let run = blocks[first..<readEnd(from: first, in: blocks, where: isWanted)]
        let taken = run.prefix(1) + run.dropFirst().prefix { isTaken($0.header) }
        let goesOn = state.recent.contains { $0.job == job && $0.header.end == start }
        let contents = try await load(taken, with: goesOn ? run : taken, of: job)
        for (block, content) in zip(taken, contents).suffix(recentBlocks) {
            state.recent.append((job, block.header, content))
        }
        state.recent.removeFirst(max(0, state.recent.count - recentBlocks))
        return contents
    }

    /// Where the blocks end that follow each other in one object, are wanted, and can be read by one request.
    private func readEnd(
        from first: Int, in blocks: [Object.Stored], where isWanted: (Series.Header) -> Bool
    ) -> Int {
        var end = first + 1
        while end < blocks.count, blocks[end].key == blocks[first].key,
            blocks[end].header.range.lowerBound == blocks[end - 1].header.range.upperBound,
            blocks[end].header.range.upperBound - blocks[first].header.range.lowerBound <= readBytes,
            isWanted(blocks[end].header)
        {
            end += 1
        }
        return end
    }

    /// Forgets what was read of a job.
    func forgetContents(of job: JobID) {
        state.recent.removeAll { $0.job == job }
        state.parts.removeAll { $0.job == job }
    }

    /// Reads blocks that follow each other in one object, by one request at most, and with them those of `run`, whose
    /// first they are.
    func load(
        _ blocks: ArraySlice<Object.Stored>, with run: ArraySlice<Object.Stored>? = nil, of job: JobID
    ) async throws(StorageError) -> [Content] {
        var contents: [Content] = []
        for (block, stored) in zip(blocks, try await bytes(of: blocks, with: run, of: job)) {
            guard let content = content(of: stored) else {
                state.parts.removeAll { $0.key == block.key }
                throw .corrupt(place: "\(bucket.place(block.key)) at \(block.header.range.lowerBound)")
            }
            contents.append(content)
        }
        return contents
    }

    /// The same as they are stored; nothing is checked.
    func bytes(
        of blocks: ArraySlice<Object.Stored>, with run: ArraySlice<Object.Stored>? = nil, of job: JobID
    ) async throws(StorageError) -> [Object.Block] {
        guard let first = blocks.first, let last = blocks.last else { return [] }
        let range = first.header.range.lowerBound..<last.header.range.upperBound
        let part: S3Part
        if let index = state.parts.firstIndex(where: { $0.holds(range, of: first.key) }) {
            part = state.parts.remove(at: index)
            state.parts.append(part)
        } else {
            let end = max(range.upperBound, run?.last?.header.range.upperBound ?? 0)
            part = try await read(range.lowerBound..<end, of: first.key, job)
            if end > range.upperBound { keep(part) }
        }
        return blocks.map { Object.Block(job: job, header: $0.header, bytes: part.bytes(at: $0.header.range)) }
    }

    private func read(_ range: Range<UInt64>, of key: String, _ job: JobID) async throws(StorageError) -> S3Part {
        let bytes: [UInt8]
        do throws(StorageError) {
            bytes = try await bucket.get(key, range)
        } catch {
            if error == .notFound { forget(key, of: job) }
            throw error
        }
        guard bytes.count == range.count else { throw .corrupt(place: bucket.place(key)) }
        return S3Part(job: job, key: key, start: range.lowerBound, content: bytes)
    }

    private func keep(_ part: S3Part) {
        state.parts.append(part)
        state.parts.removeFirst(max(0, state.parts.count - keptParts))
    }
}

/// A part of an object that was read for its first blocks.
struct S3Part {
    let job: JobID
    let key: String
    let start: UInt64
    let content: [UInt8]

    /// Whether the part has all of a range of an object.
    func holds(_ range: Range<UInt64>, of key: String) -> Bool {
        key == self.key && range.lowerBound >= start && range.upperBound <= start + UInt64(content.count)
    }

    /// The bytes of a range that it holds.
    func bytes(at range: Range<UInt64>) -> [UInt8] {
        Array(content[Int(range.lowerBound - start)..<Int(range.upperBound - start)])
    }
}
