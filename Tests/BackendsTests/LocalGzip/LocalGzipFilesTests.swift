import Foundation
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite struct LocalGzipFilesTests {
    @Test(arguments: [Durability.process, .power])
    func `zcat shows each stream's bytes`(_ durability: Durability) async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open(durability)
            var sample = SampleLog(seed: 1)
            var runs = sample.runs(50)
            runs.append(sample.lines(bytes: 2_500_000))
            runs.append(sample.lines(bytes: 1_200_000, stream: .stderr))
            runs += sample.runs(20)
            for (index, run) in runs.enumerated() {
                try await store.append(run, to: logs.job)
                if index % 13 == 0 { _ = try await store.sync([logs.job]) }
            }
            try await store.finish(logs.job)
            let whole = Transcript(runs)
            #expect(try zcat(logs.path("stdout.log.gz")) == whole.bytes(of: .stdout))
            #expect(try zcat(logs.path("stderr.log.gz")) == whole.bytes(of: .stderr))
        }
    }

    @Test func `zcat shows nothing of a stream that nobody wrote to`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks([FragmentRun("only here\n")])
            #expect(try zcat(logs.path("stderr.log.gz")) == [])
            #expect(try zcat(logs.path("stdout.log.gz")) == Array("only here\n".utf8))
        }
    }

    @Test func `directories are for the owner, and so are files`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks([FragmentRun("secret\n")])
            try await logs.open().delete(.random())
            for path in [logs.root, logs.path("")] { #expect(try mode(path) == 0o700) }
            for name in LogDirectoryFixture.fileNames { #expect(try mode(logs.path(name)) == 0o600) }
            #expect(try mode("\(logs.root)/deleted") == 0o600)
        }
    }

    @Test func `a full block is written without a sync, and forgotten memory is found in the files`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open()
            var sample = SampleLog(seed: 2)
            let run = sample.lines(bytes: 3 << 20)
            try await store.append(run, to: logs.job)
            let other = try logs.open()
            #expect(try await other.end(of: logs.job) == 2 << 20)
        }
    }

    @Test func `with power no record is written before the members are durable`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open(.power)
            var sample = SampleLog(seed: 3)
            let run = sample.lines(bytes: 3 << 20)
            try await store.append(run, to: logs.job)
            #expect(try logs.bytes("index").count == LogIndex.headerSize)
            #expect(try await store.transcript(of: LogQuery(job: logs.job)) == Transcript([run]))
            #expect(try await store.sync([logs.job]) == [logs.job: run.end])
            #expect(try await logs.open(.power).transcript(of: LogQuery(job: logs.job)) == Transcript([run]))
        }
    }

    @Test func `tails of many jobs do not fill the memory`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open()
            let jobs = (0..<70).map { _ in JobID.random() }
            for job in jobs {
                var sample = SampleLog(seed: 4)
                try await store.append(sample.lines(bytes: 1_000_000), to: job)
            }
            // None of them is a full block, yet most are written.
            var inMemory = 0
            for job in jobs {
                let stored = try await store.statistics(of: job).storedBytes
                if stored == 0 { inMemory += 1 }
            }
            #expect(inMemory * 1_000_000 <= 4 * (9 << 20))
            #expect(try await store.jobs(after: nil, limit: 100) == jobs.sorted())
        }
    }

    @Test func `thousands of jobs cost no descriptors`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open()
            let before = try descriptors(below: logs.root)
            let jobs = (0..<2500).map { _ in JobID.random() }
            for job in jobs { try await store.append(FragmentRun("one\n"), to: job) }
            #expect(try await store.sync(jobs).count == jobs.count)
            for job in jobs { try await store.append(FragmentRun("two\n", at: 4), to: job) }
            #expect(try await store.sync(jobs).values.allSatisfy { $0 == 8 })
            for job in jobs.prefix(300) {
                #expect(try await store.transcript(of: LogQuery(job: job)).bytes == Array("one\ntwo\n".utf8))
            }
            #expect(try descriptors(below: logs.root) == before)
            #expect(try await store.jobs(after: nil, limit: 5000) == jobs.sorted())
        }
    }

    @Test func `a deleted directory is noticed, and the log goes on behind what is lost`() async throws {
        try await LogDirectoryFixture.with { logs in
            let store = try logs.open()
            try await store.append(FragmentRun("synced\n"), to: logs.job)
            _ = try await store.sync([logs.job])
            try await store.append(FragmentRun("in memory\n", at: 7), to: logs.job)
            try FileManager.default.removeItem(atPath: logs.root)
            await #expect(throws: StorageError.notFound) {
                try await store.read(LogQuery(job: logs.job), after: .start, maxBytes: 100)
            }
            #expect(try await store.sync([logs.job]) == [:])
            await #expect(throws: StorageError.gap(expected: 0)) {
                try await store.append(FragmentRun("next\n", at: 17), to: logs.job)
            }
            try await store.skip(to: 17, of: logs.job, time: 5)
            try await store.append(FragmentRun("next\n", at: 17, time: 6), to: logs.job)
            #expect(try await store.sync([logs.job]) == [logs.job: 22])
            let page = try await logs.open().read(LogQuery(job: logs.job), after: .start, maxBytes: 100)
            #expect(page.bytes == Array("next\n".utf8))
            #expect(page.fragments.first?.content == .dropped(bytes: 17))
            #expect(try zcat(logs.path("stdout.log.gz")) == Array("next\n".utf8))
        }
    }

    @Test func `an interrupted delete ends when the store is opened`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks([FragmentRun("abc")])
            let files = try logs.snapshot()
            try await logs.open().delete(logs.job)
            try FileManager.default.createDirectory(atPath: logs.path(""), withIntermediateDirectories: true)
            try logs.restore(files)
            let store = try logs.open()
            #expect(try await store.jobs(after: nil, limit: 10) == [])
            #expect(!FileManager.default.fileExists(atPath: logs.path("")))
        }
    }

    @Test func `a list of deleted jobs that is torn keeps what is whole`() async throws {
        try await LogDirectoryFixture.with { logs in
            let jobs = [JobID.random(), JobID.random()]
            let store = try logs.open()
            for job in jobs { try await store.delete(job) }
            let path = URL(fileURLWithPath: "\(logs.root)/deleted")
            let whole = try Data(contentsOf: path)
            #expect(whole.count == 40)
            for count in 20..<40 {
                try whole.prefix(count).write(to: path)
                let store = try logs.open()
                await #expect(throws: StorageError.self) { try await store.append(FragmentRun("a"), to: jobs[0]) }
                try await store.append(FragmentRun("a"), to: jobs[1])
                try await store.delete(jobs[1])
                #expect(try Data(contentsOf: path) == whole)
            }
        }
    }

    @Test func `what is not a log is not listed and not touched`() async throws {
        try await LogDirectoryFixture.with { logs in
            try await logs.writeBlocks([FragmentRun("abc")])
            let job = JobID.random()
            for name in ["notes.txt", "lost+found", job.description, logs.job.description.uppercased()] {
                try FileManager.default.createDirectory(
                    atPath: "\(logs.root)/\(name)", withIntermediateDirectories: true)
            }
            #expect(try await logs.open().jobs(after: nil, limit: 10) == [logs.job])
            #expect(try FileManager.default.contentsOfDirectory(atPath: logs.root).count == 5)
        }
    }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    /// Open descriptors of this process on files below `root`.
    private func descriptors(below root: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            return target?.hasPrefix(root) ?? false
        }
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func `on a full disk a delete makes its own room`() async throws {
        try await withScratchDirectory { path in
            try #require(mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=0700") == 0)
            defer { umount2(path, Int32(MNT_DETACH)) }
            let store = try LocalGzipLogStore(directory: path)
            let job = JobID.random()
            var sample = SampleLog(seed: 9)
            try await store.append(sample.lines(bytes: 100_000), to: job)
            try await store.finish(job)
            let ballast = open("\(path)/ballast", O_CREAT | O_WRONLY, 0o600)
            let page = [UInt8](repeating: 1, count: 4096)
            while write(ballast, page, page.count) > 0 {}
            let code = errno
            #expect(code == ENOSPC)
            close(ballast)
            try await store.delete(job)
            #expect(try await store.jobs(after: nil, limit: 9) == [])
            // It is noted, for whoever opens the store next.
            let again = try LocalGzipLogStore(directory: path)
            await #expect(throws: StorageError.refused(reason: "the log was deleted")) {
                try await again.append(FragmentRun("late"), to: job)
            }
        }
    }
}
