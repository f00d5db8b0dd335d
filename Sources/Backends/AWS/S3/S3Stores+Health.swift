public import Storage

extension S3LogStore: CheckableStore {
    /// One HEAD of the bucket: what the store knows of its jobs it knows from memory.
    public nonisolated func checkBackend() async throws(StorageError) { try await bucket.reach() }

    /// Names packs whose index is damaged: the store works without them.
    public func integrityProblems() async throws(StorageError) -> [String] { try await unreadablePacks() }
}

extension S3MetricStore: CheckableStore {
    /// One HEAD of the bucket, as for logs.
    public nonisolated func checkBackend() async throws(StorageError) { try await bucket.reach() }

    /// Names packs whose index is damaged: the store works without them.
    public func integrityProblems() async throws(StorageError) -> [String] { try await unreadablePacks() }
}

extension S3Store {
    fileprivate func unreadablePacks() async throws(StorageError) -> [String] {
        try await open()
        return state.catalogue.unreadable.sorted().map { key in
            "the index of \(bucket.place(key)) is damaged: what it held is missing from the logs or samples of its jobs"
        }
    }
}
