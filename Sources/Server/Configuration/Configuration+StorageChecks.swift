extension Configuration {
    /// What stores and workers cannot do.
    func storageConflicts() -> [Conflict] {
        var found: [Conflict] = []
        func require(_ holds: Bool, _ key: String, _ message: @autoclosure () -> String) {
            if !holds { found.append(Conflict(key: key, message: message())) }
        }
        let needsWorkers = "needs storage.mode: workers; what speaks to a cloud is in the workers only"
        require(storage.mode == .workers || storage.logs.backend != .s3, "storage.logs.backend", "s3 " + needsWorkers)
        require(
            storage.mode == .workers || storage.state.backend != .dynamodb, "storage.state.backend",
            "dynamodb " + needsWorkers)
        found += bucketConflicts("storage.logs", storage.logs.backend, storage.logs.s3)
        found += retentionConflicts("storage.logs", storage.logs.retention, logDirectory)
        found += retentionConflicts("storage.metrics", storage.metrics.retention, metricDirectory)
        require(
            storage.logs.backend != .localGzip || storage.metrics.backend != .localGzip
                || !(AbsolutePath.isWithin(logDirectory, metricDirectory)
                    || AbsolutePath.isWithin(metricDirectory, logDirectory)),
            "storage.metrics.directory", "\(metricDirectory) and the logs (\(logDirectory)) must be apart")
        return storage.mode == .workers ? found + socketConflicts() : found
    }

    private func bucketConflicts(_ key: String, _ backend: LogBackend, _ bucket: S3) -> [Conflict] {
        var found: [Conflict] = []
        if backend == .s3, bucket.bucket.isEmpty {
            found.append(Conflict(key: "\(key).s3.bucket", message: "\(key).backend is s3: which bucket?"))
        }
        if !bucket.kmsKeyID.isEmpty, bucket.encryption != .kms {
            found.append(
                Conflict(key: "\(key).s3.kmsKeyId", message: "is used with serverSideEncryption: aws:kms only"))
        }
        return found
    }

    private func retentionConflicts(_ key: String, _ retention: Retention, _ directory: String) -> [Conflict] {
        guard let archive = retention.archiveDirectory else {
            guard retention.action == .archive else { return [] }
            return [Conflict(key: "\(key).retention.action", message: "archive needs an archiveDirectory")]
        }
        guard AbsolutePath.isWithin(archive, directory) || AbsolutePath.isWithin(directory, archive) else { return [] }
        return [
            Conflict(
                key: "\(key).retention.archiveDirectory",
                message: "\(archive) and what is archived (\(directory)) must be apart")
        ]
    }

    private func socketConflicts() -> [Conflict] {
        var found: [Conflict] = []
        let sockets = [
            ("storage.workers.persistSocket", persistSocket), ("storage.workers.stateSocket", stateSocket),
            ("storage.query.socket", querySocket),
        ]
        for (index, (key, path)) in sockets.enumerated() {
            if path.utf8.count > 107 {
                found.append(Conflict(key: key, message: "\(path) is longer than the 107 bytes of a socket's path"))
            }
            if sockets[..<index].contains(where: { $0.1 == path }) {
                found.append(Conflict(key: key, message: "\(path) is another socket's path"))
            }
        }
        if !storage.query.address.isEmpty, !storage.query.tls, !isQueryAddressLocal {
            found.append(
                Conflict(
                    key: "storage.query.address",
                    message: "\(storage.query.address) is not this host's alone (127.0.0.1, ::1): set storage.query.tls"
                ))
        }
        return found
    }

    /// Whether only processes of this host can connect to `storage.query.address`.
    private var isQueryAddressLocal: Bool {
        guard let host = Self.hostAndPort(storage.query.address)?.host else { return false }
        return host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}
