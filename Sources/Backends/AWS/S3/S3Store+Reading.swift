import Backends
import Storage

/// Compressed bytes that one request reads at most, but for a single block.
private let readBytes: UInt64 = 4 << 20
/// Blocks that stay in memory after they were read.
private let recentBlocks = 4

extension S3Store {
    /// Calls `body`, which reads objects of a job, again where one went between two requests: its pack was merged, or
    /// it was removed by hand.
    func whileObjectsMove<Value>(
        of job: JobID, _ body: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
        for _ in 0..<5 {
            do throws(StorageError) {
                return try await body()
            } catch {
                let isThere = state.series[job].map(\.exists) ?? state.catalogue.holds(job)
                guard error == .notFound, isThere else { throw error }
            }
        }
        throw .corrupt(place: bucket.place(job.description))
    }

    /// Where the blocks end that follow each other in one object, are wanted, and have up to `maxBytes` bytes of text.
    func readAhead(
        from first: Int, in blocks: [Object.Stored], maxBytes: Int, _ isWanted: (Series.Header) -> Bool
    ) -> Int {
        var end = first + 1
        var text = blocks[first].header.textLength
        while end < blocks.count, text < maxBytes, blocks[end].key == blocks[first].key,
            blocks[end].header.range.lowerBound == blocks[end - 1].header.range.upperBound,
            blocks[end].header.range.upperBound - blocks[first].header.range.lowerBound <= readBytes,
            isWanted(blocks[end].header)
        {
            text += blocks[end].header.textLength
            end += 1
        }
        return end
    }

    /// The content of blocks that follow each other in one object.
    func contents(of blocks: [Object.Stored], _ job: JobID) async throws(StorageError) -> [Content] {
        if let first = blocks.first,
            let known = state.recent.first(where: { $0.job == job && $0.header.start == first.header.start }),
            known.header.end == first.header.end
        {
            return [known.content] + (blocks.count > 1 ? try await contents(of: Array(blocks.dropFirst()), job) : [])
        }
        let contents = try await load(blocks, of: job)
        for (block, content) in zip(blocks, contents).suffix(recentBlocks) {
            state.recent.append((job, block.header, content))
        }
        state.recent.removeFirst(max(0, state.recent.count - recentBlocks))
        return contents
    }

    /// Reads blocks that follow each other in one object, by one request.
    func load(_ blocks: [Object.Stored], of job: JobID) async throws(StorageError) -> [Content] {
        var contents: [Content] = []
        for (block, stored) in zip(blocks, try await bytes(of: blocks, of: job)) {
            guard let content = content(of: stored) else {
                throw .corrupt(place: "\(bucket.place(block.key)) at \(block.header.range.lowerBound)")
            }
            contents.append(content)
        }
        return contents
    }

    /// Blocks that follow each other in one object, as they are stored, by one request; nothing is checked.
    func bytes(of blocks: [Object.Stored], of job: JobID) async throws(StorageError) -> [Object.Block] {
        guard let first = blocks.first, let last = blocks.last else { return [] }
        let range = first.header.range.lowerBound..<last.header.range.upperBound
        let bytes: [UInt8]
        do throws(StorageError) {
            bytes = try await bucket.get(first.key, range)
        } catch {
            if error == .notFound { forget(first.key, of: job) }
            throw error
        }
        guard bytes.count == range.count else { throw .corrupt(place: bucket.place(first.key)) }
        return blocks.map { block in
            let start = Int(block.header.range.lowerBound - range.lowerBound)
            let part = Array(bytes[start..<start + block.header.range.count])
            return Object.Block(job: job, header: block.header, bytes: part)
        }
    }
}
