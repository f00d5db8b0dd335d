import AWSSupport
import Backends
import Foundation
import Storage
import Synchronization
import Testing

@testable import CloudBackends
@testable import StorageConformance

/// Trimming that is interrupted, what it leaves in the bucket, and objects that go by themselves.
@Suite struct S3TrimmingTests {
    private static let limit: UInt64 = 200_000

    private func configuration(ownObjects: Bool) throws -> S3Configuration {
        var configuration = S3Configuration(
            bucket: "logs-\(UUID().uuidString.lowercased())", node: "n",
            aws: try MotoServer.shared.get().configuration())
        configuration.createsBucket = true
        configuration.gather = 0
        configuration.ownObjectBytes = ownObjects ? 0 : 64 << 20
        return configuration
    }

    private func objects(_ configuration: S3Configuration) async throws -> [S3Bucket.Entry] {
        try await S3Bucket(configuration, folder: "logs", http: HTTPClient()).list()
    }

    /// Appends the runs and a line of another job, ten runs and a line to an object.
    private func write(_ runs: [FragmentRun], to job: JobID, and other: JobID, of store: S3LogStore) async throws {
        for (index, run) in runs.enumerated() {
            try await store.append(run, to: job)
            guard index % 10 == 9 else { continue }
            let end = try await store.end(of: other) ?? 0
            try await store.append(FragmentRun("line\n", at: end, time: Int64(index)), to: other)
            _ = try await store.sync([job, other])
        }
    }

    @Test(arguments: [true, false])
    func `a trim that is cut off at any request happened or did not`(_ ownObjects: Bool) async throws {
        let server = try MotoServer.shared.get()
        let runs = SampleLog.largeRuns(seed: 70, count: 40)
        var outcomes: Set<Bool> = []
        for passing in 0..<20 {
            // Requests that are still answered; nil for all.
            let rest = Mutex<Int?>(nil)
            let wasCut = Flag()
            var configuration = try configuration(ownObjects: ownObjects)
            try await FaultProxy.run(upstream: server.port) { _ in
                rest.withLock { rest in
                    guard let count = rest else { return .pass }
                    guard count > 0 else {
                        wasCut.value = true
                        return .cut
                    }
                    rest = count - 1
                    return .pass
                }
            } _: { proxy in
                configuration.aws = .test(endpoint: proxy.endpoint) { $0.retry.attempts = 1 }
                let (job, other) = (JobID.random(), JobID.random())
                let store = S3LogStore(configuration, http: HTTPClient())
                try await store.check()
                try await write(runs, to: job, and: other, of: store)
                rest.withLock { $0 = passing }
                let left = try? await store.trim(job, to: Self.limit)
                rest.withLock { $0 = nil }
                // The process dies here.
                let again = S3LogStore(configuration, http: HTTPClient())
                let found = try await again.transcript(of: LogQuery(job: job))
                let isWhole = found == Transcript(runs)
                outcomes.insert(isWhole)
                if !isWhole {
                    try await again.expectTrimmed(job, runs, isEmpty: false)
                    #expect(try await again.statistics(of: job).storedBytes <= Self.limit)
                }
                if let left { #expect(try await again.statistics(of: job).storedBytes == left) }
                // What was begun is finished, and nothing is left that nobody needs.
                #expect(try await again.trim(job, to: Self.limit) <= Self.limit)
                try await again.expectTrimmed(job, runs, isEmpty: false)
                let size = try await objects(configuration).filter { $0.key.hasPrefix(job.description) }
                    .reduce(0) { $0 + $1.size }
                #expect(size <= Int(Self.limit) + 100)
                #expect(try await again.transcript(of: LogQuery(job: other)).bytes.count == 20)
            }
            if !wasCut.value { break }
        }
        #expect(outcomes == [true, false])
    }

    @Test func `packs that only a trimmed log needed go, and merging leaves its old blocks out`() async throws {
        var configuration = try configuration(ownObjects: false)
        let runs = SampleLog.largeRuns(seed: 71, count: 40)
        let (job, other, third) = (JobID.random(), JobID.random(), JobID.random())
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        try await store.append(runs[0], to: job)
        _ = try await store.sync([job])
        try await write(Array(runs.dropFirst()), to: job, and: other, of: store)
        _ = try await store.sync([job])
        let before = try await objects(configuration)
        #expect(try await store.trim(job, to: 0) < 1000)
        let after = try await objects(configuration)
        // The first and the last pack held nothing else, the others a line of the other job.
        #expect(before.count == 5)
        #expect(after.filter { $0.key.hasPrefix("packs/") }.count == 3)
        #expect(after.filter { $0.key.hasPrefix(job.description) }.count == 1)

        configuration.smallPacks = 4
        let merging = S3LogStore(configuration, http: HTTPClient())
        try await merging.append(FragmentRun("third\n"), to: third)
        _ = try await merging.sync([third])
        let merged = try await objects(configuration).filter { $0.key.hasPrefix("packs/") }
        #expect(merged.count == 1)
        #expect(merged.reduce(0) { $0 + $1.size } < 2000)
        for store in [merging, S3LogStore(configuration, http: HTTPClient())] {
            try await store.expectTrimmed(job, runs, isEmpty: true)
            #expect(try await store.transcript(of: LogQuery(job: other)).bytes.count == 15)
            #expect(try await store.transcript(of: LogQuery(job: third)).bytes == Array("third\n".utf8))
        }
    }

    @Test func `a deleted log is gone with all that trimming made`() async throws {
        let configuration = try configuration(ownObjects: true)
        let (job, other) = (JobID.random(), JobID.random())
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        try await write(SampleLog.largeRuns(seed: 72, count: 20), to: job, and: other, of: store)
        _ = try await store.trim(job, to: 100_000)
        try await store.delete(job)
        await #expect(throws: StorageError.notFound) { try await store.trim(job, to: 0) }
        #expect(try await objects(configuration).allSatisfy { !$0.key.hasPrefix(job.description) })
    }

    @Test(arguments: [true, false])
    func `objects that were removed by hand are a log without them`(_ ownObjects: Bool) async throws {
        let configuration = try configuration(ownObjects: ownObjects)
        let runs = SampleLog.largeRuns(seed: 73, count: 40)
        let (job, other) = (JobID.random(), JobID.random())
        let writer = S3LogStore(configuration, http: HTTPClient())
        try await writer.check()
        try await write(runs, to: job, and: other, of: writer)
        let bucket = S3Bucket(configuration, folder: "logs", http: HTTPClient())
        var found: [(key: String, entry: LogObject.Entry)] = []
        for object in try await objects(configuration) {
            found += try await bucket.index(of: object.key).filter { $0.job == job }.map { (object.key, $0) }
        }
        let first = try #require(found.min { $0.entry.header.start < $1.entry.header.start })
        let place = first.entry.header.end.position
        let whole = Transcript(runs)
        // One store knows the log already, one finds it, one has only listed the objects.
        let listed = S3LogStore(configuration, http: HTTPClient())
        try await listed.open()
        try await bucket.delete(first.key)
        for store in [writer, listed, S3LogStore(configuration, http: HTTPClient())] {
            let left = try await store.transcript(of: LogQuery(job: job))
            #expect(left.fragments.first?.position == place)
            #expect(left.bytes == Array(whole.bytes[Int(place)...]))
            #expect(try await store.end(of: job) == runs.last?.end)
            #expect(try await store.usages(after: nil, limit: 9).map(\.job) == [job, other].sorted())
        }
        let listedAgain = S3LogStore(configuration, http: HTTPClient())
        try await listedAgain.open()
        for object in try await objects(configuration) { try await bucket.delete(object.key) }
        for store in [listedAgain, S3LogStore(configuration, http: HTTPClient())] {
            await #expect(throws: StorageError.notFound) {
                _ = try await store.read(LogQuery(job: job), after: .start, maxBytes: 1 << 20)
            }
            #expect(try await store.usages(after: nil, limit: 9) == [])
        }
    }

    @Test func `however many objects were removed by hand, the rest is read`() async throws {
        let configuration = try configuration(ownObjects: true)
        let runs = SampleLog.largeRuns(seed: 74, count: 40)
        let job = JobID.random()
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        for run in runs {
            try await store.append(run, to: job)
            _ = try await store.sync([job])
        }
        let bucket = S3Bucket(configuration, folder: "logs", http: HTTPClient())
        let keys = try await objects(configuration).map(\.key).filter { $0.hasPrefix("\(job)/") }.sorted()
        try #require(keys.count > 8)
        for key in keys.dropLast() { try await bucket.delete(key) }
        let left = try await store.transcript(of: LogQuery(job: job))
        let place = try #require(left.fragments.first?.position)
        #expect(left.bytes == Array(Transcript(runs).bytes[Int(place)...]))
        let last: [LogObject.Entry] = try await bucket.index(of: try #require(keys.last))
        #expect(last.map(\.header.start.position).min() == place)
    }

    @Test func `a pack with a damaged index costs what it held and nothing else`() async throws {
        let configuration = try configuration(ownObjects: false)
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        let jobs = (0..<3).map { _ in JobID.random() }
        for job in jobs {
            try await store.append(FragmentRun("job \(job)\n"), to: job)
            _ = try await store.sync([job])
        }
        let bucket = S3Bucket(configuration, folder: "logs", http: HTTPClient())
        let packs = try await objects(configuration).map(\.key).filter { $0.hasPrefix(S3Catalogue.packsFolder) }
        try #require(packs.count == 3)
        let entries: [LogObject.Entry] = try await bucket.index(of: packs[0])
        let lost = try #require(entries.first).job
        var bytes = try await bucket.get(packs[0], last: 1 << 20)
        bytes[bytes.count - 40] ^= 1
        try await bucket.put(packs[0], bytes)
        let again = S3LogStore(configuration, http: HTTPClient())
        #expect(try await again.jobs(after: nil, limit: 9) == jobs.filter { $0 != lost }.sorted())
        for job in jobs where job != lost {
            #expect(try await again.transcript(of: LogQuery(job: job)).bytes == Array("job \(job)\n".utf8))
        }
        let problems = try await again.integrityProblems()
        #expect(problems.count == 1 && problems[0].contains(packs[0]))
        // Its writer goes on behind what is lost, as it does wherever a store lost something.
        try await again.skip(to: 50, of: lost, time: 1)
        try await again.append(FragmentRun("more\n", at: 50), to: lost)
        #expect(try await again.sync([lost]) == [lost: 55])
    }

    @Test func `a delete that fails halfway is done when it is repeated`() async throws {
        var configuration = try configuration(ownObjects: true)
        let server = try MotoServer.shared.get()
        let isBroken = Flag()
        try await FaultProxy.run(upstream: server.port) { request in
            if isBroken.value, request.line.hasPrefix("DELETE") {
                return .reply(HTTPReply(status: 500, headers: [:], body: []))
            }
            return .pass
        } _: { proxy in
            configuration.aws = .test(endpoint: proxy.endpoint)
            let store = S3LogStore(configuration, http: HTTPClient())
            try await store.check()
            let job = JobID.random()
            for run in SampleLog.largeRuns(seed: 75, count: 20) {
                try await store.append(run, to: job)
                _ = try await store.sync([job])
            }
            isBroken.value = true
            await #expect(throws: StorageError.self) { try await store.delete(job) }
            isBroken.value = false
            try await store.delete(job)
            let left = try await objects(configuration).map(\.key)
            #expect(left == [S3Catalogue.deletedFolder + job.description])
        }
    }

    @Test func `a damaged block under the notes at the end leaves the rest of the log`() async throws {
        let configuration = try configuration(ownObjects: false)
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        let job = JobID.random()
        var run = FragmentRun(start: 0)
        run.append(stream: .stdout, time: 1, bytes: "one\n".utf8)
        try await store.append(run, to: job)
        _ = try await store.sync([job])
        var note = FragmentRun(start: 4)
        note.append(stream: .stdout, time: 2, bytes: "two\n".utf8)
        note.appendGap(stream: .stdout, time: 3, dropped: 7)
        try await store.append(note, to: job)
        _ = try await store.sync([job])
        let bucket = S3Bucket(configuration, folder: "logs", http: HTTPClient())
        for object in try await objects(configuration) {
            let entries: [LogObject.Entry] = try await bucket.index(of: object.key)
            guard let entry = entries.first(where: { $0.header.start.position == 4 }) else { continue }
            var bytes = try await bucket.get(object.key, last: 1 << 20)
            bytes[Int(entry.header.range.lowerBound) + 2] ^= 1
            try await bucket.put(object.key, bytes)
        }
        let again = S3LogStore(configuration, http: HTTPClient())
        #expect(try await again.read(LogQuery(job: job), after: .start, maxBytes: 100).bytes == Array("one\n".utf8))
        #expect(try await again.end(of: job) == 8)
        try await again.append(FragmentRun("three\n", at: 8), to: job)
        #expect(try await again.sync([job]) == [job: 14])
    }

    @Test func `a tombstone ends after thirty days, unless a pack still has blocks of its job`() async throws {
        let configuration = try configuration(ownObjects: false)
        let (alone, packed, other) = (JobID.random(), JobID.random(), JobID.random())
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        try await store.append(FragmentRun("alone\n"), to: alone)
        _ = try await store.sync([alone])
        for job in [packed, other] { try await store.append(FragmentRun("packed\n"), to: job) }
        _ = try await store.sync([packed, other])
        for job in [alone, packed] { try await store.delete(job) }
        func reopened(afterDays days: Int64) -> S3LogStore {
            S3LogStore(configuration, http: HTTPClient()) { Tombstones.now() + days * 86_400 * 1_000_000_000 }
        }
        await #expect(throws: StorageError.self) {
            try await reopened(afterDays: 29).append(FragmentRun("late\n"), to: alone)
        }
        let later = reopened(afterDays: 31)
        try await later.append(FragmentRun("again\n"), to: alone)
        await #expect(throws: StorageError.self) { try await later.append(FragmentRun("late\n"), to: packed) }
        let tombstones = try await objects(configuration).filter { $0.key.hasPrefix("deleted/") }
        #expect(tombstones.map(\.key) == ["deleted/\(packed)"])
        #expect(try await later.transcript(of: LogQuery(job: other)).bytes == Array("packed\n".utf8))
    }
}
