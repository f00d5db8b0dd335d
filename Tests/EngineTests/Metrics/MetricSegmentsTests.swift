import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

@Suite struct MetricSegmentsTests {
    private let root: TemporaryDirectory
    private let job = JobID.random()

    init() throws {
        root = try TemporaryDirectory()
    }

    @Test func `samples are read back, also by the next daemon, which goes on behind them`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 7)
        for number in 0..<5 {
            try segments.append(time: 100 + Int64(number), points: points(number), durability: .power)
        }
        #expect(try segments.read(from: 7, limit: 2).map(\.sequence) == [7, 8])
        #expect(try segments.read(from: 10, limit: 100).map(\.points) == [points(3), points(4)])
        #expect(try segments.read(from: 12, limit: 100) == [])
        var again = try #require(try MetricSegments(existingIn: root.path, job: job))
        #expect(again.base == 7)
        #expect(again.end == 12)
        // A clock that was set back does not go back here.
        try again.append(time: 3, points: points(9), durability: .process)
        #expect(try again.read(from: 7, limit: 100).map(\.time) == [100, 101, 102, 103, 104, 104])
        #expect(try MetricSegments(existingIn: root.path, job: .random())?.end == nil)
    }

    @Test func `a record that was being written is cut, wherever it ends`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 0)
        for number in 0..<3 { try segments.append(time: 5, points: points(number), durability: .process) }
        let path = "\(root.path)/\(job)/metrics.0"
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let length = MetricRecord.encode(try segments.read(from: 2, limit: 1)[0]).count
        for cut in 1...length {
            try Data(whole.dropLast(cut)).write(to: URL(fileURLWithPath: path))
            var found = try #require(try MetricSegments(existingIn: root.path, job: job))
            #expect(found.end == 2)
            try found.append(time: 6, points: points(8), durability: .process)
            let again = try #require(try MetricSegments(existingIn: root.path, job: job))
            #expect(try again.read(from: 0, limit: 9).map(\.points) == [points(0), points(1), points(8)])
        }
    }

    @Test func `a file without its header was never begun`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 0)
        try segments.append(time: 5, points: points(0), durability: .process)
        for length in [0, 1, MetricFileHeader.size - 1] {
            try Data(repeating: 0, count: length).write(to: URL(fileURLWithPath: "\(root.path)/\(job)/metrics.1"))
            let found = try #require(try MetricSegments(existingIn: root.path, job: job))
            #expect(found.end == 1)
            #expect(try Directory.names(in: "\(root.path)/\(job)") == ["metrics.0"])
        }
    }

    @Test func `a flipped bit costs the sample that it is in, and no sequence is given twice`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 0)
        for number in 0..<4 { try segments.append(time: 5, points: points(number), durability: .process) }
        let expected = try segments.read(from: 0, limit: 9)
        let whole = try bytes("metrics.0")
        var ends = [MetricFileHeader.size]
        for sample in expected { ends.append(ends[ends.count - 1] + MetricRecord.encode(sample).count) }
        for place in stride(from: 0, to: whole.count, by: 5) {
            for name in try names() { try FileManager.default.removeItem(atPath: "\(root.path)/\(job)/\(name)") }
            var bytes = whole
            bytes[place] ^= 1 << UInt8(place % 8)
            try write(bytes, "metrics.0")
            var found = try #require(try MetricSegments(existingIn: root.path, job: job))
            let lost = ends.firstIndex { place < $0 } ?? 0
            // The header is not needed; of the samples one is gone.
            let left = expected.filter { lost == 0 || $0.sequence != UInt64(lost - 1) }
            #expect(try all(found) == left, "byte \(place)")
            #expect(found.end == (lost == 4 ? 3 : 4))
            try found.append(time: 6, points: points(7), durability: .process)
            let again = try #require(try MetricSegments(existingIn: root.path, job: job))
            #expect(try all(again).map(\.points) == left.map(\.points) + [points(7)], "byte \(place)")
            #expect(Set(try all(again).map(\.sequence)).count == left.count + 1)
        }
    }

    @Test func `a file that is cut anywhere keeps what lies before, and the next file all`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 0)
        let large = [MetricPoint(type: .cpu, labels: ["text": String(repeating: "x", count: 100_000)], values: [:])]
        for _ in 0..<5 { try segments.append(time: 5, points: large, durability: .process) }
        let whole = try bytes("metrics.0")
        let length = MetricRecord.encode(try segments.read(from: 0, limit: 1)[0]).count
        let ends = (0...3).map { MetricFileHeader.size + $0 * length }
        let cuts = [0, 1, MetricFileHeader.size - 1] + ends.flatMap { [$0, $0 + 1, $0 + 8, $0 + length / 2] }
        for cut in cuts where cut < whole.count {
            try write(Array(whole[..<cut]), "metrics.0")
            let found = try #require(try MetricSegments(existingIn: root.path, job: job))
            let kept = ends.dropFirst().count { $0 <= cut }
            #expect(try all(found).map(\.sequence) == (0..<UInt64(kept)) + [3, 4], "\(cut) bytes")
            #expect(found.end == 5)
        }
    }

    @Test func `damage in one file costs nothing in the next`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 0)
        let large = [MetricPoint(type: .cpu, labels: ["text": String(repeating: "x", count: 100_000)], values: [:])]
        for _ in 0..<5 { try segments.append(time: 5, points: large, durability: .process) }
        let path = "\(root.path)/\(job)/metrics.0"
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[150_000] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        var found = try #require(try MetricSegments(existingIn: root.path, job: job))
        #expect(try names() == ["metrics.0", "metrics.2", "metrics.3"])
        #expect(try all(found).map(\.sequence) == [0, 2, 3, 4])
        try found.append(time: 6, points: points(1), durability: .process)
        #expect(try found.read(from: 5, limit: 9).map(\.sequence) == [5])
    }

    @Test func `files are of bounded size and number, and go once they are not needed`() throws {
        var segments = MetricSegments(root: root.path, job: job, first: 0)
        let large = [MetricPoint(type: .cpu, labels: ["text": String(repeating: "x", count: 100_000)], values: [:])]
        for _ in 0..<10 { try segments.append(time: 5, points: large, durability: .process) }
        #expect(try names() == ["metrics.0", "metrics.3", "metrics.6", "metrics.9"])
        try segments.release(upTo: 5)
        #expect(try names() == ["metrics.3", "metrics.6", "metrics.9"])
        #expect(segments.base == 3)
        // The last one stays: it says where the next sample goes.
        try segments.release(upTo: 10)
        #expect(try names() == ["metrics.9"])
        #expect(try MetricSegments(existingIn: root.path, job: job)?.end == 10)
        for _ in 0..<3 * MetricSegments.maximumFiles {
            try segments.append(time: 5, points: large, durability: .process)
            _ = try segments.limit()
        }
        #expect(try names().count == MetricSegments.maximumFiles)
        #expect(segments.base > 10)
        try segments.removeAll()
        #expect(try names() == [])
    }

    @Test func `no bytes make the decoder fail`() {
        var generator = SeededGenerator(seed: 5)
        let whole = MetricRecord.encode(MetricSample(sequence: 1, time: 2, points: points(3)))
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0..<Int(generator.next() % 4 + 1) {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            bytes.removeLast(Int(generator.next() % UInt64(bytes.count)))
            if bytes != whole { #expect(MetricRecord.decode(bytes[...])?.sample == nil) }
        }
        // Also with a checksum that fits.
        for _ in 0..<500 {
            let body = generator.bytes(Int(generator.next() % 200))
            var head = ByteWriter()
            head.write(UInt32(body.count))
            head.write(Checksum.crc32c(body))
            _ = MetricRecord.decode((head.bytes + body)[...])
        }
    }

    /// Every sample, file by file.
    private func all(_ segments: MetricSegments) throws -> [MetricSample] {
        var samples: [MetricSample] = []
        while true {
            let next = try segments.read(from: samples.last.map { $0.sequence + 1 } ?? 0, limit: 100)
            if next.isEmpty { return samples }
            samples += next
        }
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(root.path)/\(job)/\(name)")))
    }

    private func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(root.path)/\(job)/\(name)"))
    }

    private func names() throws -> [String] { try Directory.names(in: "\(root.path)/\(job)").sorted() }

    private func points(_ number: Int) -> [MetricPoint] {
        [
            MetricPoint(type: .cpu, values: ["cpu_percent": Double(number) / 3, "zero": 0]),
            MetricPoint(type: .io, labels: ["device": "8:\(number)"], values: ["io_read_bytes": 1e18]),
        ]
    }
}
