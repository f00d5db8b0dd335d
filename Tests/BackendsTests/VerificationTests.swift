import Foundation
import Storage
import StorageConformance
import Testing

@testable import Backends

@Suite struct VerificationTests {
    @Test(arguments: LogBackend.available)
    func `a sound store has no problems`(_ backend: LogBackend) async throws {
        try await backend.withFreshStore { subject in
            let store = subject.store
            var sample = SampleLog(seed: 70)
            var jobs: [JobID: Transcript] = [:]
            for index in 0..<6 {
                sample = SampleLog(seed: sample.next())
                let runs = sample.runs(30)
                let job = JobID.random()
                jobs[job] = Transcript(runs)
                try await store.append(runs, to: job)
                if index == 2 { try await store.skip(to: (runs.last?.end ?? 0) + 50, of: job, time: .max) }
                if index == 3 { _ = try await store.trim(job, to: 1500) }
            }
            let reports = Collected<LogVerification.JobReport>()
            let report = try await LogVerification(of: store).run { reports.add($0) }
            #expect(report.jobs == 6)
            #expect(report.damagedJobs == 0)
            #expect(reports.all.map(\.job) == jobs.keys.sorted())
            for found in reports.all {
                #expect(found.problems.isEmpty)
                let transcript = try await store.transcript(of: LogQuery(job: found.job))
                #expect(found.digest.bytes == UInt64(transcript.bytes.count))
                #expect(found.digest.lines == UInt64(transcript.bytes.count { $0 == UInt8(ascii: "\n") }))
            }
        }
    }

    @Test func `a checksum does not depend on pages, and finds every difference`() async throws {
        var sample = SampleLog(seed: 71)
        let whole = Transcript(sample.runs(40))
        let store = MemoryLogStore()
        let job = JobID.random()
        var again = SampleLog(seed: 71)
        try await store.append(again.runs(40), to: job)
        let expected = digest(whole)
        for maxBytes in [1, 7, 8, 9, 64, 1000] {
            var digest = LogDigest()
            var cursor = LogCursor.start
            var page: LogPage
            repeat {
                page = try await store.read(LogQuery(job: job), after: cursor, maxBytes: maxBytes)
                digest.add(page)
                cursor = page.next
            } while !page.isLast
            #expect(digest.value == expected.value)
            #expect(digest.bytes == expected.bytes && digest.lines == expected.lines && digest.notes == expected.notes)
        }
        var values: Set = [expected.value]
        for index in stride(from: 0, to: whole.bytes.count, by: 37) {
            var other = LogDigest()
            var offset = 0
            whole.forEach { fragment, bytes in
                var bytes = bytes
                if (offset..<offset + bytes.count).contains(index) { bytes[bytes.startIndex + index - offset] ^= 1 }
                offset += bytes.count
                other.add(fragment, bytes)
            }
            values.insert(other.value)
        }
        #expect(values.count == (whole.bytes.count + 36) / 37 + 1)
    }

    @Test func `damage is found, and named by its place`() async throws {
        try await LogDirectoryFixture.with { logs in
            var sample = SampleLog(seed: 72)
            try await logs.writeBlocks((0..<3).map { _ in sample.run(fragments: 10) })
            var bytes = try logs.bytes("stdout.log.gz")
            bytes[bytes.count - 12] ^= 1
            try logs.write(bytes, to: "stdout.log.gz")
            let reports = Collected<LogVerification.JobReport>()
            let report = try await LogVerification(of: logs.open()).run { reports.add($0) }
            #expect(report.damagedJobs == 1)
            guard case .damage(let place) = reports.all.first?.problems.first else {
                Issue.record("\(reports.all)")
                return
            }
            #expect(place.contains("stdout.log.gz at "))
        }
    }

    @Test(arguments: JobBackend.available)
    func `sound records have no problems, others are named`(_ backend: JobBackend) async throws {
        try await backend.withFreshStore { subject in
            let store = subject.store
            var records = (0..<20).map { index in
                var record = JobRecord(
                    id: .random(), node: NodeIdentity(id: "n", incarnation: "i"),
                    specification: JobSpecification(command: "/bin/true"), createdAt: Int64(index / 3))
                record.status = .completed
                record.endedAt = 5
                return record
            }
            try await store.put(records)
            #expect(try await JobRecordVerification(of: store).run().problems == [])
            records[4].version = 2
            records[4].endedAt = nil
            try await store.put([records[4]])
            let report = try await JobRecordVerification(of: store).run()
            #expect(report.records == 20)
            #expect(
                report.problems == [.nonsense(records[4].id, reason: "COMPLETED without a time of its end")])
        }
    }

    private func digest(_ transcript: Transcript) -> LogDigest {
        var digest = LogDigest()
        transcript.forEach { digest.add($0, $1) }
        return digest
    }
}
