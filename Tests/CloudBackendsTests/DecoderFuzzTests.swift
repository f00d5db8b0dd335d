import Backends
import FoundationEssentials
import Storage
import StorageConformance
import TestSupport
import Testing

@testable import CloudBackends

/// Decoders of what a server sends take any bytes: they find sense or none, and never trap.
@Suite struct DecoderFuzzTests {
    @Test(arguments: 0..<8)
    func `XML of any bytes`(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let whole = Array(
            """
            <?xml version="1.0"?><!-- c --><a:ListBucketResult xmlns="x"><IsTruncated>true</IsTruncated>
            <Contents k='v'><Key>a&amp;b&#x41;&lt;</Key><Size>12</Size></Contents><E/><![CDATA[<x>]]></a:ListBucketResult>
            """.utf8)
        #expect(XMLElement(whole)?.first("Key")?.text == "a&bA<")
        for _ in 0..<3000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...6, using: &generator) { mutate(&bytes, &generator) }
            check(XMLElement(bytes), depth: 0)
        }
        let alphabet = Array("<>/!-[]&;#x?='\" ab".utf8)
        for _ in 0..<3000 {
            let count = Int.random(in: 0...60, using: &generator)
            check(XMLElement((0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }), depth: 0)
        }
    }

    @Test(arguments: [
        "", "<", "<a", "<a>", "<a/", "<a></b>", "<a/><b/>", "<a>&nbsp;</a>", "<a>&#1114112;</a>", "<!DOCTYPE a><a/>",
        "<a b></a>", "<a b=c></a>", "<:/>", "<a><![CDATA[</a>", "a<b/>",
    ])
    func `XML that is not well formed is none`(_ text: String) {
        #expect(XMLElement(Array(text.utf8)) == nil)
    }

    @Test func `XML that is too deep is none`() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)).utf8)
        }
        #expect(XMLElement(nested(XMLElement.maximumDepth)) != nil)
        #expect(XMLElement(nested(XMLElement.maximumDepth + 1)) == nil)
        #expect(XMLElement(nested(1_000_000)) == nil)
    }

    @Test(arguments: 0..<4)
    func `DynamoDB's JSON of any bytes`(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var record = JobRecord(
            id: .random(), node: NodeIdentity(id: "n", incarnation: "i"), specification: JobSpecification(command: "c"),
            createdAt: 1)
        record.specification.labels = ["a": "b"]
        var item = record.attributes(json: String(decoding: record.json, as: UTF8.self))
        item.merge(Attribute.key(record.id)) { $1 }
        let whole = Array(try JSONEncoder().encode(["Items": [item]]))
        #expect(try JSONDecoder().decode(QueryReply.self, from: Data(whole)).Items == [item])
        for _ in 0..<1500 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) { mutate(&bytes, &generator) }
            guard let reply = try? JSONDecoder().decode(QueryReply.self, from: Data(bytes)) else { continue }
            for item in reply.Items {
                let found = try? JobRecord(item: item, in: "t")
                if let found { #expect(found.id.description == item[Attribute.jobID]?.text) }
            }
        }
    }

    @Test(arguments: 0..<8)
    func `the index of an object of any bytes`(_ seed: UInt64) throws {
        var sample = SampleLog(seed: seed)
        var generator = SeededGenerator(seed: seed)
        let (whole, entries) = LogObject.encode(blocks(&sample))
        let trailer = try #require(LogObject.Trailer(whole))
        #expect(trailer.entries(whole) == entries)
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) { mutate(&bytes, &generator) }
            guard let found = LogObject.Trailer(bytes)?.entries(bytes) else { continue }
            // Damage elsewhere leaves the index as it was; damage in it is seen.
            #expect(found == entries)
            let gzip = Gzip()
            for entry in found where Int(entry.header.range.upperBound) <= bytes.count {
                let range = entry.header.range
                let part = Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
                let content = LogObject.Block(job: entry.job, header: entry.header, bytes: part).content(with: gzip)
                if let content { #expect(content.end == entry.header.end) }
            }
        }
    }

    private func blocks(_ sample: inout SampleLog) -> [LogObject.Block] {
        let gzip = Gzip()
        var log = LogBlock(at: .start)
        return sample.runs(5).map { run in
            var place = RunPlace()
            run.bytes.withUnsafeBytes { log.take(&place, of: run, $0, maxBytes: .max, maxFragments: .max) }
            defer { log.restart(keepsBuffers: false) }
            return LogObject.Block(log, of: .random(), with: gzip)
        }
    }

    private func check(_ element: XMLElement?, depth: Int) {
        guard let element else { return }
        #expect(!element.name.isEmpty && depth < XMLElement.maximumDepth)
        for child in element.children { check(child, depth: depth + 1) }
    }

    private func mutate(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: bytes.indices, using: &generator)
        switch generator.next() % 4 {
        case 0: bytes[place] ^= 1 << UInt8(generator.next() % 8)
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + 20))
        }
    }
}
