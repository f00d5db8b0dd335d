import Storage

extension S3Store {
    /// Rewrites small and half dead packs as few larger ones, without what was deleted or trimmed.
    func mergePacks() async throws(StorageError) {
        let keys = state.catalogue.packsToMerge(
            smallPacks: configuration.smallPacks, packBytes: configuration.packBytes)
        guard !keys.isEmpty else { return }
        var blocks: [Object.Block] = []
        for key in keys { blocks += try await liveBlocks(in: key) }
        blocks = await joined(Self.inOrder(blocks))
        var place = 0
        var written: [(key: String, size: Int, entries: [Object.Entry])] = []
        while place < blocks.count {
            var bytes = 0
            let part = blocks[place...].prefix { block in
                bytes += block.bytes.count
                return bytes <= configuration.packBytes
            }
            let count = max(1, part.count)
            let (body, entries) = Object.encode(Array(blocks[place..<place + count]))
            let key = packKey()
            try await bucket.put(key, body)
            written.append((key, body.count, entries))
            place += count
        }
        replace(Set(keys), by: written)
        for key in keys { try await bucket.delete(key) }
    }

    private func liveBlocks(in key: String) async throws(StorageError) -> [Object.Block] {
        let entries: [Object.Entry]
        do throws(StorageError) {
            entries = try await bucket.index(of: key)
        } catch {
            // Removed by hand, or damaged; the others are merged the next time.
            if error == .notFound { state.catalogue.remove(pack: key) }
            if case .corrupt = error { state.catalogue.note(damagedPack: key) }
            throw error
        }
        guard let first = entries.first?.header.range.lowerBound, let end = entries.last?.header.range.upperBound
        else { return [] }
        let bytes = try await bucket.get(key, first..<end)
        var blocks: [Object.Block] = []
        for entry in entries where state.catalogue.isLive(entry) {
            let range = entry.header.range
            guard range.lowerBound >= first, range.upperBound - first <= UInt64(bytes.count) else {
                state.catalogue.note(damagedPack: key)
                throw .corrupt(place: bucket.place(key))
            }
            let part = bytes[Int(range.lowerBound - first)..<Int(range.upperBound - first)]
            blocks.append(Object.Block(job: entry.job, header: entry.header, bytes: Array(part)))
        }
        return blocks
    }

    /// A job's blocks side by side, so that one request reads them; what an interrupted merge left twice, once.
    private static func inOrder(_ blocks: [Object.Block]) -> [Object.Block] {
        let sorted = blocks.sorted { left, right in
            left.job == right.job ? left.header.comesBefore(right.header) : left.job < right.job
        }
        var kept: [Object.Block] = []
        for block in sorted {
            if let last = kept.last, last.job == block.job, block.header.end <= last.header.end { continue }
            kept.append(block)
        }
        return kept
    }

    /// Small blocks of a job that follow each other as one, where that is worth it.
    private func joined(_ blocks: [Object.Block]) async -> [Object.Block] {
        var result: [Object.Block] = []
        var group: [Object.Block] = []
        var text = 0
        func flush() {
            // A trim that is under way counts on the blocks as they are.
            let isFixed = group.first.map { state.trimming.contains($0.job) } ?? true
            if group.count > 1, !isFixed, let block = joining(group) { result.append(block) } else { result += group }
            group = []
            text = 0
        }
        for block in blocks {
            let follows = group.last.map { $0.job == block.job && $0.header.end == block.header.start } ?? false
            if !follows || text + block.header.textLength > joinedBytes {
                flush()
                // What others wait for comes in between.
                await Task.yield()
            }
            group.append(block)
            text += block.header.textLength
        }
        flush()
        return result
    }

    /// Lets the catalogue and the series in memory point to the new packs, in one step.
    private func replace(_ old: Set<String>, by new: [(key: String, size: Int, entries: [Object.Entry])]) {
        for pack in new {
            state.catalogue.add(pack: pack.key, size: pack.size, entries: pack.entries)
            for entry in pack.entries where state.catalogue.isLive(entry) {
                state.series[entry.job]?.replace(by: entry.header, in: pack.key, insteadOf: old)
            }
        }
        for key in old { state.catalogue.remove(pack: key) }
    }
}
