import Storage
import Testing

extension JobStoreBehaviour {
    static let versions: [Self] = [
        .init("a record is read back as it was put") { store in
            let record = JobRecord.full
            try await store.put([record])
            #expect(try await store.get(record.id) == record)
        },
        .init("a job that is not there is not found") { store in
            let id = JobID.random()
            await #expect(throws: StorageError.notFound) { try await store.get(id) }
        },
        .init("the highest version stays, in whatever order they come") { store in
            let id = JobID.random()
            for version: UInt64 in [2, 1, 5, 5, 3, 4] {
                try await store.put([.sample(id, version: version, name: "version \(version)")])
            }
            #expect(try await store.get(id).version == 5)
            let other = JobID.random()
            try await store.put([1, 3, 2].map { .sample(other, version: $0) })
            #expect(try await store.get(other).version == 3)
        },
        .init("a version that the store has is ignored, even with other content") { store in
            let id = JobID.random()
            try await store.put([.sample(id, version: 4, name: "first")])
            try await store.put([.sample(id, version: 4, name: "second")])
            #expect(try await store.get(id).specification.name == "first")
        },
        .init("putting nothing is no error") { store in
            try await store.put([])
            try await store.sync()
            #expect(try await store.records().isEmpty)
        },
        .init("a tombstone removes the record and refuses its versions") { store in
            let record = JobRecord.sample(version: 3)
            try await store.put([record])
            try await store.delete(record.id, version: 4)
            await #expect(throws: StorageError.notFound) { try await store.get(record.id) }
            #expect(try await store.records().isEmpty)
            #expect(try await store.ids(prefix: prefix(of: record.id, 8), limit: 9).isEmpty)
            for version: UInt64 in [1, 3, 4] {
                await expectRefused { try await store.put([.sample(record.id, version: version)]) }
            }
            await #expect(throws: StorageError.notFound) { try await store.get(record.id) }
        },
        .init("a tombstone comes before its record") { store in
            let id = JobID.random()
            try await store.delete(id, version: 9)
            try await store.delete(id, version: 2)
            await expectRefused { try await store.put([.sample(id, version: 8)]) }
            await expectRefused { try await store.put([.sample(id, version: 9)]) }
            await #expect(throws: StorageError.notFound) { try await store.get(id) }
        },
        .init("a delete below the record changes nothing") { store in
            let record = JobRecord.sample(version: 6)
            try await store.put([record])
            try await store.delete(record.id, version: 5)
            #expect(try await store.get(record.id) == record)
            try await store.delete(record.id, version: 6)
            await #expect(throws: StorageError.notFound) { try await store.get(record.id) }
        },
        .init("a refused record keeps those before it and not those behind it") { store in
            let (before, refused, behind) = (JobRecord.sample(), JobRecord.sample(), JobRecord.sample())
            try await store.delete(refused.id, version: 1)
            await expectRefused { try await store.put([before, refused, behind]) }
            #expect(try await store.get(before.id) == before)
            await #expect(throws: StorageError.notFound) { try await store.get(behind.id) }
        },
        .init("another incarnation of a node is refused, another node is not") { store in
            let first = JobRecord.sample(incarnation: "first")
            try await store.put([first])
            await expectRefused { try await store.put([.sample(incarnation: "copy")]) }
            await expectRefused { try await store.put([.sample(first.id, incarnation: "copy", version: 2)]) }
            try await store.put([.sample(node: "node-2", incarnation: "copy")])
            #expect(try await store.get(first.id) == first)
            try await store.delete(first.id, version: 2)
            await expectRefused { try await store.put([.sample(incarnation: "copy")]) }
        },
        .init("concurrent puts keep the highest version of each job") { store in
            let ids = (0..<10).map { _ in JobID.random() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for turn in 0..<20 {
                    group.addTask {
                        let version = UInt64((turn * 7) % 20 + 1)
                        try await store.put(ids.map { .sample($0, version: version, name: "v\(version)") })
                    }
                }
                try await group.waitForAll()
            }
            for id in ids {
                let record = try await store.get(id)
                #expect(record.version == 20)
                #expect(record.specification.name == "v20")
            }
        },
        .init(reopening: "records, tombstones and incarnations outlive the store") { subject in
            let kept = JobRecord.full
            let deleted = JobRecord.sample()
            try await subject.store.put([kept, deleted])
            try await subject.store.delete(deleted.id, version: 2)
            try await subject.store.sync()
            let store = try await subject.reopen()
            #expect(try await store.records() == [kept])
            await expectRefused { try await store.put([deleted]) }
            await expectRefused { try await store.put([.sample(incarnation: "copy")]) }
            var next = kept
            next.version += 1
            try await store.put([next])
            #expect(try await store.get(kept.id) == next)
        },
    ]
}

/// The first `count` characters of an id.
func prefix(of id: JobID, _ count: Int) throws -> JobIDPrefix {
    try #require(JobIDPrefix(id.description.prefix(count)))
}
