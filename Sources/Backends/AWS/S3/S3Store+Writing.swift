import Storage

extension S3Store {
    /// Opens the store for an append to a job; throws `refused` once the job was deleted.
    func prepareWriting(_ job: JobID) async throws(StorageError) {
        try await open()
        try checkWritable(job)
    }

    func checkWritable(_ job: JobID) throws(StorageError) {
        if state.catalogue.deleted.contains(job) { throw .refused(reason: "the job was deleted") }
        if state.trimming.contains(job) { throw .unavailable(reason: "the job's data is being trimmed") }
    }

    /// Changes a series and counts what it holds in memory.
    func change(_ series: Series, _ body: (Series) -> Void) {
        let before = series.bytesInMemory
        body(series)
        state.bytesInMemory += series.bytesInMemory - before
    }

    /// Waits until there is room for another block of the job.
    func makeRoom(for job: JobID) async throws(StorageError) {
        if let series = state.series[job], series.isTailFull, series.sealedText >= 2 * configuration.objectBytes {
            if let failure = await requestUpload([job]).value[job] { throw failure }
        }
        guard state.bytesInMemory >= configuration.memoryBytes else { return }
        // All together: small jobs share packs.
        let failures = await requestUpload(state.series.values.filter { !$0.isClean }.map(\.job)).value
        if state.bytesInMemory >= configuration.memoryBytes, let failure = failures.values.first { throw failure }
    }

    /// Has a job's blocks written without a `sync` where enough of them wait.
    func uploadIfLarge(_ job: JobID) {
        // What is being written does not ask for another object.
        guard let series = state.series[job], !state.pending.contains(job),
            series.sealedText - state.uploading[job, default: 0] >= configuration.objectBytes
        else { return }
        _ = requestUpload([job])
    }

    /// Writes what was appended to some jobs; returns the position up to which each is in S3.
    func synced(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await open()
        var ends: [JobID: UInt64] = [:]
        var failures: [JobID: StorageError] = [:]
        var unwritten: [JobID] = []
        for job in Set(jobs) where !state.catalogue.deleted.contains(job) {
            do throws(StorageError) {
                guard let series = try await series(of: job), series.exists else { continue }
                if !series.isClean { unwritten.append(job) }
                ends[job] = series.durableEnd
            } catch {
                failures[job] = error
            }
        }
        if !unwritten.isEmpty {
            failures.merge(await requestUpload(unwritten).value) { $1 }
            for job in unwritten {
                ends[job] = failures[job] == nil ? state.series[job]?.durableEnd ?? ends[job] : nil
            }
        }
        if ends.isEmpty, let failure = jobs.lazy.compactMap({ failures[$0] }).first { throw failure }
        return ends
    }

    /// Writes what was appended to a job, and forgets it.
    func finished(_ job: JobID) async throws(StorageError) {
        _ = try await synced([job])
        if let series = state.series[job], series.isClean, !state.trimming.contains(job) { state.series[job] = nil }
    }

    /// Removes everything of a job.
    func remove(_ job: JobID) async throws(StorageError) {
        try await open()
        if !state.catalogue.deleted.contains(job) {
            // Before anything goes: whoever opens the store next ends what is interrupted here.
            try await bucket.put(S3Catalogue.deletedFolder + job.description, [])
        }
        if let series = state.series.removeValue(forKey: job) { state.bytesInMemory -= series.bytesInMemory }
        forgetContents(of: job)
        state.catalogue.bury(job)
        // What fails here goes when the delete is repeated.
        for key in state.catalogue.doomed[job] ?? [] {
            try await bucket.delete(key)
            state.catalogue.remove(pack: key)
            state.catalogue.doomed[job]?.remove(key)
        }
        state.catalogue.doomed[job] = nil
    }
}
