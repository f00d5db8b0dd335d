public import Storage

extension S3LogStore {
    /// One LIST of one key: what the store knows of its jobs it knows from memory.
    public nonisolated func checkBackend() async throws(StorageError) { try await bucket.check() }
}
