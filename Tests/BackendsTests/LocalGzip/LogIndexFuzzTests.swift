import Storage
import StorageConformance
import Testing

@testable import Backends

/// The decoder of an index takes any bytes: it finds blocks that make sense, or damage, and never traps.
@Suite struct LogIndexFuzzTests {
    let job = JobID(high: 1, low: 2)

    @Test func `random bytes`() throws {
        var sample = SampleLog(seed: 9)
        for _ in 0..<2000 {
            let count = Int.random(in: 0...600, using: &sample)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: sample.next()) }
            if Bool.random(using: &sample) { bytes = LogIndex.header(of: job) + bytes }
            if Bool.random(using: &sample), bytes.count > 40 {
                bytes.replaceSubrange(32..<36, with: BlockHeader.magic)
            }
            check(bytes)
        }
    }

    @Test func `an index with mutated bytes`() throws {
        var sample = SampleLog(seed: 10)
        let whole = index(of: &sample)
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &sample) { mutate(&bytes, &sample) }
            check(bytes)
        }
    }

    @Test func `headers and tables whose checksums are right and whose values are not`() throws {
        var sample = SampleLog(seed: 11)
        let run = sample.run(fragments: 12)
        let (header, table) = record(of: run, after: LogIndex(), offset: 20)
        for _ in 0..<5000 {
            var table = table
            var bytes = header.encoded()
            if Bool.random(using: &sample) {
                mutate(&table, &sample)
                bytes.replaceSubrange(8..<12, with: littleEndian(UInt32(table.count)))
                bytes.replaceSubrange(12..<16, with: littleEndian(table.withUnsafeBytes { crc32($0) }))
            }
            for _ in 0..<Int.random(in: 0...2, using: &sample) {
                let place = Int.random(in: 16..<BlockHeader.size, using: &sample)
                let values = [0, 0xff, bytes[place] ^ 1, UInt8(truncatingIfNeeded: sample.next())]
                bytes[place] = values[Int(sample.next() % 4)]
            }
            bytes.replaceSubrange(4..<8, with: littleEndian(bytes[8...].withUnsafeBytes { crc32($0) }))
            check(LogIndex.header(of: job) + bytes + table)
        }
    }

    /// Decodes an index and the tables of its blocks, and checks what holds of every answer.
    private func check(_ bytes: [UInt8]) {
        let source = IndexSource(size: UInt64(bytes.count)) { offset, buffer in
            let rest = bytes[Int(offset)...].prefix(buffer.count)
            buffer.copyBytes(from: rest)
            return rest.count
        }
        guard let index = try? LogIndex(of: job, place: "index", source: source) else { return }
        var end = LogCursor.start
        for block in index.blocks {
            #expect(block.header.start >= end)
            #expect(block.header.end > block.header.start)
            #expect(block.offset + block.header.recordLength <= UInt64(bytes.count))
            end = block.header.end
            let first = Int(block.offset) + BlockHeader.size
            let table = bytes[first..<first + Int(block.header.tableLength)]
            let fragments = table.withUnsafeBytes { FragmentTable.decode($0, of: block.header) }
            guard let fragments else { continue }
            let count = fragments.reduce(0) { $0 + $1.count }
            #expect(count == Int(block.header.end.position - block.header.start.position))
        }
        #expect(index.length <= UInt64(bytes.count))
    }

    private func index(of sample: inout SampleLog) -> [UInt8] {
        var bytes = LogIndex.header(of: job)
        var index = LogIndex()
        for run in sample.runs(6) {
            let (header, table) = record(of: run, after: index, offset: 20)
            index.blocks.append(LogIndex.Block(header: header, offset: UInt64(bytes.count)))
            bytes += header.encoded() + table
        }
        return bytes
    }

    private func record(
        of run: FragmentRun, after index: LogIndex, offset: UInt64
    ) -> (header: BlockHeader, table: [UInt8]) {
        var block = LogBlock(at: index.end)
        var place = RunPlace()
        run.bytes.withUnsafeBytes { block.take(&place, of: run, $0, maxBytes: .max, maxFragments: .max) }
        let times = block.times ?? 0...0
        let table = FragmentTable.encode(block.fragments, earliest: times.lowerBound)
        var header = BlockHeader(
            start: block.start, end: block.end, times: times, fragments: UInt32(block.fragments.count),
            hasStdout: true, hasStderr: true,
            stdout: .init(offset: index.fileLength(of: .stdout), compressed: 9, length: UInt32(block.stdout.count)),
            stderr: .init(offset: index.fileLength(of: .stderr), compressed: 9, length: UInt32(block.stderr.count)))
        header.tableLength = UInt32(table.count)
        header.tableCRC = table.withUnsafeBytes { crc32($0) }
        return (header, table)
    }

    private func mutate(_ bytes: inout [UInt8], _ sample: inout SampleLog) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: bytes.indices, using: &sample)
        switch sample.next() % 4 {
        case 0: bytes[place] ^= 1 << UInt8(sample.next() % 8)
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(UInt8(truncatingIfNeeded: sample.next()), at: place)
        default: bytes.removeSubrange(place...)
        }
    }

    private func littleEndian(_ value: UInt32) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }
}
