import Foundation
import Storage
import TestSupport
import Testing

/// Records are read as they were written, by this program and by those that left it to `Codable`.
@Suite struct JobRecordReadingTests {
    private static let plain = JobRecord(
        id: JobID(high: 1, low: 2), node: NodeIdentity(id: "", incarnation: ""),
        specification: JobSpecification(command: ""), createdAt: 0)

    private static let full: JobRecord = {
        var specification = JobSpecification(command: "/bin/sh")
        specification.name = "täglich \"1\" \\ /"
        specification.arguments = ["-c", "echo \u{0}\u{1}\u{1f}\n\t\u{7f}\u{2028}😀", ""]
        specification.environment = ["B": "2", "A\"": "1", "a": "\r\u{8}\u{c}", "": "😀"]
        specification.secretEnvironment = ["K\\": SealedValue(base64: "AA+/=="), "J": SealedValue(base64: "")]
        specification.limits.cpuPercent = .min
        specification.limits.memoryBytes = .max
        specification.limits.processes = 7
        specification.network = "host"
        specification.workDirectory = "/work/a b"
        specification.uploads = ["x", "d/y"]
        specification.usesInit = true
        specification.keepsWork = true
        specification.durability = .power
        specification.outputPolicy = .drop
        specification.timeout = .max
        specification.labels = ["team": "a/b"]
        var record = plain
        record.specification = specification
        record.version = .max
        record.status = .failed
        record.reason = "signal 9"
        (record.exitCode, record.signal, record.pid) = (-1, 9, .max)
        record.lease = JobLease(startToken: .max, idRange: .max, bootID: "b")
        (record.createdAt, record.startedAt, record.endedAt) = (.max, .min, 0)
        return record
    }()

    @Test(arguments: [plain, full]) func `what was written is read`(_ record: JobRecord) throws {
        #expect(try JobRecord(json: record.json) == record)
    }

    @Test(arguments: [plain, full], [[], .sortedKeys, .prettyPrinted] as [JSONEncoder.OutputFormatting])
    func `what Codable writes is read`(_ record: JobRecord, _ formatting: JSONEncoder.OutputFormatting) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        #expect(try JobRecord(json: Array(try encoder.encode(record))) == record)
    }

    @Test func `unknown names are passed over, and escapes of any kind are read`() throws {
        let text = String(decoding: Self.full.json, as: UTF8.self)
            .replacing("\"signal 9\"", with: #""\u0073ign\u0061l\u0020\ud83d\ude00""#)
        let more = #"{"new":{"a":[1,-2.5e3,null,true,{"b":"\b\/"}],"c":[]},"# + text.dropFirst()
        var expected = Self.full
        expected.reason = "signal 😀"
        #expect(try JobRecord(json: Array(more.utf8)) == expected)
    }

    @Test func `a record that lacks something is none`() throws {
        let whole = try #require(try JSONSerialization.jsonObject(with: Data(Self.full.json)) as? [String: Any])
        for name in whole.keys where !["lease", "startedAt", "endedAt"].contains(name) {
            let part = try JSONSerialization.data(withJSONObject: whole.filter { $0.key != name })
            #expect(throws: MalformedJSON.self, "\(name)") { try JobRecord(json: Array(part)) }
        }
        let specification = try #require(whole["specification"] as? [String: Any])
        for name in specification.keys where name != "timeout" {
            var part = whole
            part["specification"] = specification.filter { $0.key != name }
            let text = try JSONSerialization.data(withJSONObject: part)
            #expect(throws: MalformedJSON.self, "\(name)") { try JobRecord(json: Array(text)) }
        }
    }

    @Test(arguments: [
        #""\ud83d""#, #""\ud83dx""#, #""\ud83d\u0041""#, #""\udc00""#, #""\u12""#, #""\x""#, "1", "\"", "\"\u{e000}",
        String(repeating: "[", count: 100_000),
    ]) func `what is no text is none`(_ reason: String) {
        let text = String(decoding: Self.full.json, as: UTF8.self)
        #expect(throws: MalformedJSON.self) {
            try JobRecord(json: Array(text.replacing("\"signal 9\"", with: reason).utf8))
        }
        #expect(throws: MalformedJSON.self) { try JobRecord(json: Array((#"{"new":"# + reason).utf8)) }
    }

    @Test func `damaged text is no record or another one, and never a trap`() throws {
        var random = SeededGenerator(seed: 77)
        let whole = Self.full.json
        var refused = 0
        for _ in 0..<4000 {
            var text = whole
            let place = Int.random(in: text.indices, using: &random)
            switch random.next() % 3 {
            case 0: text[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: text.removeSubrange(place...)
            default: text.insert(contentsOf: random.bytes(3), at: place)
            }
            do throws(MalformedJSON) {
                _ = try JobRecord(json: text)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 2000)
    }
}
