import Storage

extension JobMetrics {
    /// Drops the oldest samples until the files take at most `bytes`; returns what they take then.
    ///
    /// Whole files go, the oldest first; of the first one that stays, members; of the last member, samples. An
    /// interruption leaves fewer of the oldest dropped, which the next attempt ends.
    func trim(to bytes: UInt64) throws(StorageError) -> UInt64 {
        _ = try sync()
        var sizes: [UInt64] = []
        for place in stored.indices { sizes.append(try table(place).length) }
        var left = sizes.reduce(0, +)
        guard left > bytes else { return left }
        codec.forget(job)
        for place in stored.indices where left > bytes {
            left -= sizes[place]
            if left < bytes, let rest = try newest(of: place, within: bytes - left) {
                try files.replace(stored[place].number, by: rest, durability: durability)
                left += UInt64(rest.count)
                break
            }
            try Directory.remove(file: files.path(stored[place].number))
        }
        if durability == .power, !stored.isEmpty { try Directory.synchronize(files.directory) }
        try reload()
        return left
    }

    /// The newest members of a file that take at most `limit` bytes, or the newest samples of its last one; nil where
    /// nothing fits.
    private func newest(of place: Int, within limit: UInt64) throws(StorageError) -> [UInt8]? {
        let table = try table(place)
        var first: UInt64?
        for member in table.members.reversed() {
            if member.isDamaged || table.length - member.offset > limit { break }
            first = member.offset
        }
        if let first {
            return try files.read(stored[place].number, at: first, count: Int(table.length - first))
        }
        guard let last = table.members.last, !last.isDamaged else { return nil }
        var samples = try codec.samples(of: last, in: stored[place].number, of: self)
        while samples.count > 1 {
            samples.removeFirst((samples.count + 1) / 2)
            guard let first = samples.first, let last = samples.last else { return nil }
            let (member, plain) = codec.member(of: samples, first, last)
            if UInt64(member.length) <= limit { return member.encoded(plain) }
        }
        return nil
    }
}
