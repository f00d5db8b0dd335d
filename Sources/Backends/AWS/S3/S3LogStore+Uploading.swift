import Backends
import Storage

extension S3LogStore {
    /// What goes into one object.
    private struct Upload: Sendable {
        var key: String
        var blocks: [LogObject.Block] = []
        var bytes = 0
        var isPack: Bool
    }

    /// Objects that are written at the same time.
    private static let width = 4

    /// Has the logs of `jobs` written by the next cycle; its value is what failed, by job.
    func requestUpload(_ jobs: [JobID]) -> Task<[JobID: StorageError], Never> {
        pending.formUnion(jobs)
        if let scheduled { return scheduled }
        let previous = running
        let gather = configuration.gather
        let cycle = Task { () -> [JobID: StorageError] in
            _ = await previous?.value
            // What is asked for until then goes into the same objects; a cancelled wait only ends early.
            if gather > 0 { try? await Task.sleep(for: .milliseconds(gather)) }
            return await self.uploadPending()
        }
        scheduled = cycle
        return cycle
    }

    private func uploadPending() async -> [JobID: StorageError] {
        running = scheduled
        scheduled = nil
        let jobs = pending
        pending = []
        var rest = uploads(of: jobs)
        var failures: [JobID: StorageError] = [:]
        while !rest.isEmpty {
            let part = rest.prefix(Self.width)
            rest.removeFirst(part.count)
            await withTaskGroup(of: (Upload, [LogObject.Entry], Int, StorageError?).self) { group in
                for upload in part {
                    let bucket = bucket
                    group.addTask {
                        let (bytes, entries) = LogObject.encode(upload.blocks)
                        do throws(StorageError) {
                            try await bucket.put(upload.key, bytes)
                            return (upload, entries, bytes.count, nil)
                        } catch {
                            return (upload, entries, bytes.count, error)
                        }
                    }
                }
                for await (upload, entries, size, failure) in group {
                    if let failure {
                        for entry in entries { failures[entry.job] = failure }
                    } else {
                        await commit(upload, entries, size)
                    }
                }
            }
        }
        // Only tidies up: what fails here is tried again after a later cycle.
        try? await mergePacks()
        return failures
    }

    /// Cuts what waits of the jobs into objects: a large log's own, and packs of the others.
    private func uploads(of jobs: Set<JobID>) -> [Upload] {
        var uploads: [Upload] = []
        var pack = Upload(key: Self.packKey(), isPack: true)
        for job in jobs.sorted() {
            guard let log = logs[job] else { continue }
            change(log) { $0.seal(with: gzip) }
            guard let first = log.sealed.first else { continue }
            let bytes = log.sealed.reduce(0) { $0 + $1.bytes.count }
            if bytes >= configuration.ownObjectBytes {
                let key = S3Catalogue.key(of: job, at: first.header.start)
                uploads.append(Upload(key: key, blocks: log.sealed, bytes: bytes, isPack: false))
                continue
            }
            if pack.bytes + bytes > configuration.packBytes, !pack.blocks.isEmpty {
                uploads.append(pack)
                pack = Upload(key: Self.packKey(), isPack: true)
            }
            pack.blocks += log.sealed
            pack.bytes += bytes
        }
        if !pack.blocks.isEmpty { uploads.append(pack) }
        return uploads
    }

    /// Notes an object that was written.
    private func commit(_ upload: Upload, _ entries: [LogObject.Entry], _ size: Int) async {
        let headers = Dictionary(grouping: entries, by: \.job).mapValues { $0.map(\.header) }
        if upload.isPack { catalogue.add(pack: upload.key, size: size, entries: entries) }
        for (job, headers) in headers {
            if catalogue.deleted.contains(job) {
                // Deleted while it was written: found again, and removed, when the store is opened at the latest.
                if !upload.isPack { try? await bucket.delete(upload.key) }
                continue
            }
            if !upload.isPack { catalogue.add(key: upload.key, of: job) }
            if let log = logs[job] { change(log) { $0.commit(headers, key: upload.key) } }
        }
    }

    private static func packKey() -> String {
        S3Catalogue.packsFolder + JobID.random().description
    }

    // MARK: Merging

    /// Rewrites small and half dead packs as few larger ones, without what was deleted or trimmed.
    private func mergePacks() async throws(StorageError) {
        let keys = catalogue.packsToMerge(smallPacks: configuration.smallPacks, packBytes: configuration.packBytes)
        guard !keys.isEmpty else { return }
        var blocks: [LogObject.Block] = []
        for key in keys {
            let entries: [LogObject.Entry]
            do throws(StorageError) {
                entries = try await bucket.index(of: key)
            } catch {
                // Removed by hand; the others are merged the next time.
                if error == .notFound { catalogue.remove(pack: key) }
                throw error
            }
            guard let first = entries.first?.header.range.lowerBound, let end = entries.last?.header.range.upperBound
            else { continue }
            let bytes = try await bucket.get(key, first..<end)
            for entry in entries where catalogue.isLive(entry) {
                let range = entry.header.range
                guard range.lowerBound >= first, range.upperBound - first <= UInt64(bytes.count) else {
                    throw .corrupt(place: bucket.place(key))
                }
                let part = bytes[Int(range.lowerBound - first)..<Int(range.upperBound - first)]
                blocks.append(LogObject.Block(job: entry.job, header: entry.header, bytes: Array(part)))
            }
        }
        // A job's blocks side by side: one request reads them.
        blocks.sort { ($0.job, $0.header.start) < ($1.job, $1.header.start) }
        var place = 0
        var written: [(key: String, size: Int, entries: [LogObject.Entry])] = []
        while place < blocks.count {
            var bytes = 0
            let part = blocks[place...].prefix { block in
                bytes += block.bytes.count
                return bytes <= configuration.packBytes
            }
            let count = max(1, part.count)
            let (body, entries) = LogObject.encode(Array(blocks[place..<place + count]))
            let key = Self.packKey()
            try await bucket.put(key, body)
            written.append((key, body.count, entries))
            place += count
        }
        replace(Set(keys), by: written)
        for key in keys { try await bucket.delete(key) }
    }

    /// Lets the catalogue and the logs in memory point to the new packs, in one step.
    private func replace(_ old: Set<String>, by new: [(key: String, size: Int, entries: [LogObject.Entry])]) {
        for pack in new {
            catalogue.add(pack: pack.key, size: pack.size, entries: pack.entries)
            for entry in pack.entries {
                guard let log = logs[entry.job] else { continue }
                let index = log.blocks.firstIndex { old.contains($0.key) && $0.header.start == entry.header.start }
                if let index { log.blocks[index] = S3Log.Stored(header: entry.header, key: pack.key) }
            }
        }
        for key in old { catalogue.remove(pack: key) }
    }
}
