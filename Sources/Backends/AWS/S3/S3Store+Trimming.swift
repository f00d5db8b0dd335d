import Storage

extension S3Store {
    /// Calls `body`, which drops a job's oldest blocks and returns what the rest takes, while nobody can append to it.
    ///
    /// Everything that was appended is in objects then.
    func trimmed(
        _ job: JobID, _ body: () async throws(StorageError) -> UInt64
    ) async throws(StorageError) -> UInt64 {
        guard state.trimming.insert(job).inserted else {
            throw .unavailable(reason: "the job's data is being trimmed")
        }
        defer { state.trimming.remove(job) }
        // A merge that began before may join blocks of the job; a later one does not.
        _ = await state.running?.value
        _ = try await synced([job])
        return try await whileObjectsMove(of: job, body)
    }

    /// Lets some blocks, in one object, stand in place of everything that a series holds before `trim.end`.
    ///
    /// The new object is the commit: by its name everything before its end is given up. What could not be removed
    /// then is removed when the store is opened.
    func replaceBeginning(
        of series: Series, by blocks: [Object.Block], _ trim: S3Catalogue.Trim
    ) async throws(StorageError) {
        let key = trim.key(of: series.job)
        let (body, entries) = Object.encode(blocks)
        try await bucket.put(key, body)
        guard !state.catalogue.deleted.contains(series.job) else {
            // Deleted while it was written: found again, and removed, when the store is opened at the latest.
            try? await bucket.delete(key)
            throw .notFound
        }
        series.trim(to: trim.end, by: entries, key: key)
        // What is known of its end may be otherwise now: whoever needs it reads the job again.
        state.series[series.job] = nil
        forgetContents(of: series.job)
        for key in state.catalogue.trim(series.job, by: trim, keeping: Set(series.blocks.map(\.key))) {
            try? await bucket.delete(key)
            state.catalogue.remove(pack: key)
        }
    }
}
