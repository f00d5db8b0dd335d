import Storage

extension S3Bucket {
    /// What is read of an object's end before it is known how long its index is.
    private static let firstRead = 64 << 10

    /// The index of an object.
    func index<Header: ObjectHeader>(
        of key: String
    ) async throws(StorageError) -> [S3Object<Header>.Entry] {
        var end = try await get(key, last: Self.firstRead)
        guard let trailer = S3Object<Header>.Trailer(end) else { throw .corrupt(place: place(key)) }
        if trailer.length > end.count { end = try await get(key, last: trailer.length) }
        guard let entries = trailer.entries(end) else { throw .corrupt(place: place(key)) }
        return entries
    }
}

extension S3Catalogue {
    /// Indexes of packs that are read at the same time.
    private static let width = 8

    /// What a listing of the node's objects and the indexes of its packs say at the time `now`.
    ///
    /// Deletes and trims that were interrupted end here, and so do tombstones that are old enough: those of jobs that
    /// no pack has blocks of. A pack whose index is damaged is left alone, and noted.
    static func load<Header: ObjectHeader>(
        _ bucket: S3Bucket, of type: Header.Type, now: Int64
    ) async throws(StorageError) -> S3Catalogue {
        var catalogue = S3Catalogue()
        var packs: [S3Bucket.Entry] = []
        var objects: [(job: JobID, name: Substring, key: String)] = []
        var old: [JobID] = []
        for entry in try await bucket.list() {
            if entry.key.hasPrefix(packsFolder) {
                packs.append(entry)
            } else if entry.key.hasPrefix(deletedFolder) {
                guard let job = JobID(entry.key.dropFirst(deletedFolder.count)) else { continue }
                catalogue.deleted.insert(job)
                if entry.modified < Tombstones.oldest(at: now) / 1_000_000_000 { old.append(job) }
            } else if let slash = entry.key.firstIndex(of: "/"), let job = JobID(entry.key[..<slash]) {
                let name = entry.key[slash...].dropFirst()
                objects.append((job, name, entry.key))
                if let trim = Trim(objectName: name) { catalogue.note(trim, of: job) }
            }
        }
        for object in objects {
            if catalogue.needs(object.name, of: object.job) {
                catalogue.add(key: object.key, of: object.job)
            } else {
                try await bucket.delete(object.key)
            }
        }
        for first in stride(from: 0, to: packs.count, by: width) {
            let part = packs[first..<min(first + width, packs.count)]
            for (entry, entries) in try await indexes(of: part, type, bucket) {
                if let entries {
                    catalogue.add(pack: entry.key, size: entry.size, entries: entries)
                } else {
                    catalogue.add(unreadablePack: entry.key)
                }
            }
        }
        let packed = Set(catalogue.packs.values.lazy.flatMap(\.jobs))
        // A pack that cannot be read may have blocks of any job.
        for job in old where !packed.contains(job) && catalogue.unreadable.isEmpty {
            try await bucket.delete(deletedFolder + job.description)
            catalogue.deleted.remove(job)
        }
        return catalogue
    }

    /// The last trim of a job is the one with which its data begins.
    private mutating func note(_ trim: Trim, of job: JobID) {
        if trims[job].map({ $0.start < trim.start }) ?? true { trims[job] = trim }
    }

    /// Whether an object of a job's own holds a part of its data that counts.
    private func needs(_ name: Substring, of job: JobID) -> Bool {
        if deleted.contains(job) { return false }
        guard let trim = trims[job] else { return true }
        if let other = Trim(objectName: name) { return other == trim }
        return LogCursor(objectName: name).map { $0 >= trim.end } ?? true
    }

    /// The indexes of packs, nil for damaged ones; without those that were removed since they were listed.
    private static func indexes<Header: ObjectHeader>(
        of packs: ArraySlice<S3Bucket.Entry>, _ type: Header.Type, _ bucket: S3Bucket
    ) async throws(StorageError) -> [(S3Bucket.Entry, [S3Object<Header>.Entry]?)] {
        typealias Found = Result<(S3Bucket.Entry, [S3Object<Header>.Entry]?)?, StorageError>
        let results = await withTaskGroup(of: Found.self, returning: [Found].self) { group in
            for pack in packs {
                group.addTask {
                    do throws(StorageError) {
                        return .success((pack, try await bucket.index(of: pack.key)))
                    } catch {
                        switch error {
                        case .notFound: return .success(nil)
                        case .corrupt: return .success((pack, nil))
                        default: return .failure(error)
                        }
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var found: [(S3Bucket.Entry, [S3Object<Header>.Entry]?)] = []
        for result in results {
            if let index = try result.get() { found.append(index) }
        }
        return found
    }
}
