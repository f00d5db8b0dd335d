import Storage
import Testing

extension JobStoreBehaviour {
    static let lists: [Self] = [
        .init("a list is in order of creation time and id, page by page") { store in
            // Four jobs share each creation time, so that pages end between equal times.
            let records = (0..<30).map { JobRecord.sample(createdAt: Int64($0 / 4) - 2) }
            try await store.put(records.shuffled())
            let sorted = records.sorted { JobCursor($0) < JobCursor($1) }
            for limit in [1, 3, 4, 7, 29, 30, 31] {
                #expect(try await store.records(pages: limit) == sorted)
            }
        },
        .init("a page that ends with the list says so") { store in
            let records = (0..<6).map { JobRecord.sample(createdAt: Int64($0)) }
            try await store.put(records)
            let page = try await store.list(JobQuery(), after: JobCursor(records[2]), limit: 3)
            #expect(page == JobPage(records: Array(records[3...]), next: nil))
            let behind = try await store.list(JobQuery(), after: JobCursor(records[5]), limit: 3)
            #expect(behind == JobPage(records: [], next: nil))
        },
        .init("a list of an empty store is empty") { store in
            let page = try await store.list(JobQuery(), after: nil, limit: 10)
            #expect(page == JobPage(records: [], next: nil))
        },
        .init("node, statuses, name and creation time narrow a list") { store in
            var records: [JobRecord] = []
            for index in 0..<60 {
                let status = JobStatus.allCases[index % JobStatus.allCases.count]
                records.append(
                    .sample(
                        node: "node-\(index % 3)", status: status, name: ["", "a", "A", "a%"][index % 4],
                        createdAt: Int64(index / 2)))
            }
            try await store.put(records)
            let sorted = records.sorted { JobCursor($0) < JobCursor($1) }
            let queries = [
                JobQuery(node: "node-1"), JobQuery(node: "nowhere"), JobQuery(statuses: [.running]),
                JobQuery(statuses: [.running, .failed, .canceled]), JobQuery(statuses: []),
                JobQuery(statuses: Set(JobStatus.allCases)), JobQuery(name: "a"), JobQuery(name: ""),
                JobQuery(name: "a%"), JobQuery(created: 5...9), JobQuery(created: .min...3),
                JobQuery(created: 7...7), JobQuery(created: 100...200),
                JobQuery(node: "node-2", statuses: [.completed, .stopped], name: "A", created: 2...27),
            ]
            for query in queries {
                let expected = sorted.filter(query.admits)
                #expect(try await store.records(query, pages: 2) == expected, "\(query)")
                #expect(try await store.records(query) == expected, "\(query)")
            }
        },
        .init("a list shows the newest version of each record only") { store in
            let id = JobID.random()
            try await store.put([.sample(id, status: .running)])
            try await store.put([.sample(id, version: 2, status: .completed)])
            #expect(try await store.records(JobQuery(statuses: [.running])).isEmpty)
            #expect(try await store.records(JobQuery(statuses: [.completed])).map(\.version) == [2])
        },
        .init("ids are found by their beginning, ascending, up to the limit") { store in
            let ids = (0..<300).map { _ in JobID.random() }
            let near = (0..<4).map { JobID(high: 0xabcd_ef01_2345_4678, low: 0x8000_0000_0000_0000 | UInt64($0)) }
            try await store.put((ids + near).map { .sample($0) })
            let sorted = (ids + near).sorted()
            for text in ["0", "f", "ab", "abcdef01-2345-4678-8000-00000000000", "abcdef01-", "9e"] {
                let prefix = try #require(JobIDPrefix(text))
                let expected = sorted.filter(prefix.matches)
                #expect(try await store.ids(prefix: prefix, limit: 1000) == expected, "\(text)")
                #expect(try await store.ids(prefix: prefix, limit: 2) == Array(expected.prefix(2)), "\(text)")
            }
            let whole = try prefix(of: near[2], 36)
            #expect(try await store.ids(prefix: whole, limit: 10) == [near[2]])
            #expect(try await store.ids(prefix: prefix(of: .random(), 36), limit: 10) == [])
        },
    ]
}
