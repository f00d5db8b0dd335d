import Storage

extension JobLog {
    /// Drops the oldest part until the files take at most `bytes`; returns what they take then.
    func trim(to bytes: UInt64) throws(StorageError) -> UInt64 {
        try prepareRewriting()
        if let rewrite = try trimmed(to: bytes) { try replaceFiles(rewrite) }
        return storedBytes
    }

    /// Replaces damaged blocks by notes of what is lost; returns how many bytes that is, nil where none is damaged.
    func repairDamage() throws(StorageError) -> UInt64? {
        let isTorn = damageAtEnd != nil
        try prepareRewriting()
        guard let rewrite = try repaired() else { return isTorn ? 0 : nil }
        try replaceFiles(rewrite)
        return rewrite.lostBytes
    }

    /// Writes everything down, so that the files are the log.
    private func prepareRewriting() throws(StorageError) {
        // This cuts what is behind the last commit, too.
        _ = try sync()
        if needsReload { try reload() }
    }

    private func replaceFiles(_ rewrite: LogRewrite) throws(StorageError) {
        needsReload = true
        var replacement = try LogReplacement(of: job, in: files)
        for block in rewrite.blocks {
            switch block {
            case .kept(let block): try replacement.add(try stored(block))
            case .new(let block): try replacement.add(block)
            }
        }
        try replacement.commit(durability)
        try reload()
    }
}
