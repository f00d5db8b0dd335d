import Storage

extension JobLog {
    /// Drops the oldest part until the files take at most `bytes`; returns what they take then.
    func trim(to bytes: UInt64) throws(StorageError) -> UInt64 {
        try prepareRewriting()
        if let rewrite = try trimmed(to: bytes) { try replaceFiles(rewrite) }
        return storedBytes
    }

    /// Replaces damaged blocks by notes of what is lost, and takes text that no record names into the log.
    func repairDamage() throws(StorageError) -> JobRepair.Outcome {
        let hasDamagedEnd = damageAtEnd != nil
        let torn = try tornEnd()
        let runs = try unnamedText(torn)
        try prepareRewriting()
        var lost = torn.isEmpty ? 0 : try restore(torn, runs)
        if let rewrite = try repaired() {
            try replaceFiles(rewrite)
            lost += rewrite.lostBytes
        } else if torn.isEmpty, !hasDamagedEnd {
            return .sound
        }
        return runs.isEmpty ? .mended(lostBytes: lost) : .rebuilt(bytes: statistics.bytes)
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
