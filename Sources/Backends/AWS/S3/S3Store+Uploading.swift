import Backends
import Storage

/// What goes into one object.
private struct Upload<Header: ObjectHeader>: Sendable {
    var key: String
    var blocks: [S3Object<Header>.Block] = []
    var bytes = 0
    var isPack: Bool
}

/// Objects that are written at the same time.
private let width = 4

extension S3Store {
    /// Has what waits of `jobs` written by the next cycle; its value is what failed, by job.
    func requestUpload(_ jobs: [JobID]) -> Task<[JobID: StorageError], Never> {
        state.pending.formUnion(jobs)
        if let scheduled = state.scheduled { return scheduled }
        let previous = state.running
        let gather = configuration.gather
        let cycle = Task { () -> [JobID: StorageError] in
            _ = await previous?.value
            // What is asked for until then goes into the same objects; a cancelled wait only ends early.
            if gather > 0 { try? await Task.sleep(for: .milliseconds(gather)) }
            return await self.uploadPending()
        }
        state.scheduled = cycle
        return cycle
    }

    private func uploadPending() async -> [JobID: StorageError] {
        state.running = state.scheduled
        state.scheduled = nil
        let jobs = state.pending
        state.pending = []
        var rest = uploads(of: jobs)
        var failures: [JobID: StorageError] = [:]
        while !rest.isEmpty {
            let part = rest.prefix(width)
            rest.removeFirst(part.count)
            await withTaskGroup(of: (Upload<Series.Header>, [Object.Entry], Int, StorageError?).self) { group in
                for upload in part {
                    let bucket = bucket
                    group.addTask {
                        let (bytes, entries) = Object.encode(upload.blocks)
                        do throws(StorageError) {
                            try await bucket.put(upload.key, bytes)
                            return (upload, entries, bytes.count, nil)
                        } catch {
                            return (upload, entries, bytes.count, error)
                        }
                    }
                }
                for await (upload, entries, size, failure) in group {
                    for entry in entries { state.uploading[entry.job] = nil }
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

    /// Cuts what waits of the jobs into objects: a large job's own, and packs of the others.
    private func uploads(of jobs: Set<JobID>) -> [Upload<Series.Header>] {
        var uploads: [Upload<Series.Header>] = []
        var pack = Upload<Series.Header>(key: packKey(), isPack: true)
        for job in jobs.sorted() {
            guard let series = state.series[job] else { continue }
            change(series) { seal($0) }
            guard let first = series.sealed.first else { continue }
            state.uploading[job] = series.sealedText
            let bytes = series.sealed.reduce(0) { $0 + $1.bytes.count }
            if bytes >= configuration.ownObjectBytes {
                let key = S3Catalogue.key(of: job, at: first.header.start)
                uploads.append(Upload(key: key, blocks: series.sealed, bytes: bytes, isPack: false))
                continue
            }
            if pack.bytes + bytes > configuration.packBytes, !pack.blocks.isEmpty {
                uploads.append(pack)
                pack = Upload(key: packKey(), isPack: true)
            }
            pack.blocks += series.sealed
            pack.bytes += bytes
        }
        if !pack.blocks.isEmpty { uploads.append(pack) }
        return uploads
    }

    /// Notes an object that was written.
    private func commit(_ upload: Upload<Series.Header>, _ entries: [Object.Entry], _ size: Int) async {
        let headers = Dictionary(grouping: entries, by: \.job).mapValues { $0.map(\.header) }
        if upload.isPack { state.catalogue.add(pack: upload.key, size: size, entries: entries) }
        for (job, headers) in headers {
            if state.catalogue.deleted.contains(job) {
                // Deleted while it was written: found again, and removed, when the store is opened at the latest.
                if !upload.isPack { try? await bucket.delete(upload.key) }
                continue
            }
            if !upload.isPack { state.catalogue.add(key: upload.key, of: job) }
            if let series = state.series[job] { change(series) { $0.commit(headers, key: upload.key) } }
        }
    }

    /// A key for a new pack.
    func packKey() -> String {
        S3Catalogue.packsFolder + JobID.random().description
    }
}
