import Foundation
import Storage
import Testing

/// The form in which journals, databases and messages hold records.
@Suite struct JobRecordJSONTests {
    private static var full: JobRecord {
        var specification = JobSpecification(command: "/bin/sh")
        specification.name = "täglich \"1\" \\ /"
        specification.arguments = ["-c", "echo \u{1}\n\t\u{7f}\u{2028}😀", ""]
        specification.workDirectory = "/work/a b"
        specification.environment = ["B": "2", "A": "1", "a": "\r\u{8}\u{c}"]
        specification.secretEnvironment = ["K": SealedValue(base64: "AA+/=="), "J": SealedValue(base64: "")]
        specification.limits.cpuPercent = 150
        specification.limits.memoryBytes = 512 << 20
        specification.limits.processes = .max
        specification.network = "host"
        specification.uploads = ["x", "d/y"]
        specification.usesInit = true
        specification.keepsWork = true
        specification.durability = .power
        specification.outputPolicy = .drop
        specification.timeout = 3_000_000_000
        specification.labels = ["team": "a/b", "": "empty"]
        var record = JobRecord(
            id: .random(), node: NodeIdentity(id: "n", incarnation: "i"), specification: specification,
            createdAt: 1_700_000_000_123_456_789)
        record.version = .max
        record.status = .failed
        record.reason = "signal 9"
        (record.exitCode, record.signal, record.pid) = (-1, 9, 4711)
        record.lease = JobLease(startToken: .max, idRange: 65_536, bootID: "b")
        record.startedAt = .min
        record.endedAt = .max
        return record
    }

    @Test func `what is written is what Codable reads, with every field`() throws {
        let record = Self.full
        #expect(try JSONDecoder().decode(JobRecord.self, from: Data(record.json)) == record)
        let plain = JobRecord(
            id: .random(), node: NodeIdentity(id: "", incarnation: ""), specification: JobSpecification(command: ""),
            createdAt: 0)
        #expect(try JSONDecoder().decode(JobRecord.self, from: Data(plain.json)) == plain)
    }

    @Test func `it has the names that Codable writes, sorted, and no others`() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var record = Self.full
        // Apart from the way in which control characters are escaped it is the same text.
        record.specification.arguments = ["-c", "echo \u{1}\u{7f}\u{2028}😀"]
        record.specification.environment = ["B": "2", "A": "1", "a": "3"]
        let expected = String(decoding: try encoder.encode(record), as: UTF8.self)
        #expect(String(decoding: record.json, as: UTF8.self) == expected)
    }
}
