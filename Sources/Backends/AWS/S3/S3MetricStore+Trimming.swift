import Backends
public import Storage

extension S3MetricStore {
    /// Drops the oldest blocks by a PUT of an object that says where the rest begins.
    ///
    /// It holds what stays of an object of the job's own that is cut, or of a block.
    public func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await trimmed(job) { () async throws(StorageError) in
            let metrics = try await existingSeries(of: job)
            let blocks = metrics.blocks
            var first = blocks.count
            var size: UInt64 = 0
            while first > 0, size + blocks[first - 1].size <= bytes {
                first -= 1
                size += blocks[first].size
            }
            guard first > 0 else { return metrics.storedBytes }
            let cut = blocks[first - 1]
            let rest: [MetricObject.Block]
            if first == blocks.count {
                rest = try await newest(of: cut, of: job, within: bytes).map { [$0] } ?? []
            } else if state.catalogue.packs[cut.key] == nil {
                rest = try await self.bytes(of: blocks[first...].prefix { $0.key == cut.key }, of: job)
            } else {
                rest = []
            }
            let start = rest.first?.header.start ?? cut.header.end
            let trim = S3Catalogue.Trim(start: start.position, end: rest.last?.header.end ?? start)
            try await replaceBeginning(of: metrics, by: rest, trim)
            return metrics.storedBytes
        }
    }

    /// The newest samples of a block as one; nil where none fits or the block is damaged.
    private func newest(
        of block: MetricObject.Stored, of job: JobID, within limit: UInt64
    ) async throws(StorageError) -> MetricObject.Block? {
        let samples: [MetricSample]
        do throws(StorageError) {
            samples = try await load([block], of: job).first ?? []
        } catch .corrupt {
            return nil
        }
        var found: MetricObject.Block?
        // So many fit, and one of more does not.
        var (fitting, tooMany) = (0, samples.count)
        while fitting + 1 < tooMany {
            let count = (fitting + tooMany) / 2
            var text = MetricText(at: block.header.member.end - UInt64(count))
            for sample in samples.suffix(count) { text.append(sample) }
            let part = MetricObject.Block(text, of: job, with: gzip)
            if UInt64(part.bytes.count + MetricObject.entrySize) <= limit {
                (found, fitting) = (part, count)
            } else {
                tooMany = count
            }
        }
        return found
    }
}
