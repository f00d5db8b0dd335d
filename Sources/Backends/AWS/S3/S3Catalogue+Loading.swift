import Storage

extension S3Bucket {
    /// What is read of an object's end before it is known how long its index is.
    private static let firstRead = 64 << 10

    /// The index of an object.
    func index(of key: String) async throws(StorageError) -> [LogObject.Entry] {
        var end = try await get(key, last: Self.firstRead)
        guard let trailer = LogObject.Trailer(end) else { throw .corrupt(place: place(key)) }
        if trailer.length > end.count { end = try await get(key, last: trailer.length) }
        guard let entries = trailer.entries(end) else { throw .corrupt(place: place(key)) }
        return entries
    }
}

extension S3Catalogue {
    /// Indexes of packs that are read at the same time.
    private static let width = 8

    /// What a listing of the node's objects and the indexes of its packs say.
    static func load(_ bucket: S3Bucket) async throws(StorageError) -> S3Catalogue {
        var catalogue = S3Catalogue()
        var packs: [S3Bucket.Entry] = []
        var objects: [(job: JobID, key: String)] = []
        for entry in try await bucket.list() {
            if entry.key.hasPrefix(packsFolder) {
                packs.append(entry)
            } else if entry.key.hasPrefix(deletedFolder) {
                if let job = JobID(entry.key.dropFirst(deletedFolder.count)) { catalogue.deleted.insert(job) }
            } else if let slash = entry.key.firstIndex(of: "/"), let job = JobID(entry.key[..<slash]) {
                objects.append((job, entry.key))
            }
        }
        for object in objects {
            // A delete that was interrupted ends here.
            if catalogue.deleted.contains(object.job) {
                try await bucket.delete(object.key)
            } else {
                catalogue.add(key: object.key, of: object.job)
            }
        }
        for first in stride(from: 0, to: packs.count, by: width) {
            let part = packs[first..<min(first + width, packs.count)]
            for (entry, jobs) in try await jobs(in: part, bucket) {
                catalogue.add(pack: entry.key, size: entry.size, jobs: jobs)
            }
        }
        return catalogue
    }

    private static func jobs(
        in packs: ArraySlice<S3Bucket.Entry>, _ bucket: S3Bucket
    ) async throws(StorageError) -> [(S3Bucket.Entry, Set<JobID>)] {
        let results = await withTaskGroup(
            of: Result<(S3Bucket.Entry, Set<JobID>), StorageError>.self,
            returning: [Result<(S3Bucket.Entry, Set<JobID>), StorageError>].self
        ) { group in
            for pack in packs {
                group.addTask {
                    do throws(StorageError) {
                        return .success((pack, Set(try await bucket.index(of: pack.key).map(\.job))))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var found: [(S3Bucket.Entry, Set<JobID>)] = []
        for result in results { found.append(try result.get()) }
        return found
    }
}
