import Sandbox
import Testing

@testable import Engine

/// The `exits` file of a supervisor, cut or changed.
@Suite struct ExitLogImageTests {
    private let records = (0..<4).map { number in
        ExitRecord(
            job: ShimJob(high: UInt64(number), low: 7), token: UInt64(number), time: 1_700_000_000_000_000_000,
            exitCode: Int32(number), signal: 0, ranOutOfMemory: false)
    }

    @Test func `a log that is cut anywhere keeps the exits that are whole`() {
        let whole = records.flatMap(\.entry)
        for cut in 0...whole.count {
            #expect(ExitRecord.decode(Array(whole[..<cut])) == Array(records[..<(cut / ExitRecord.size)]))
        }
    }

    @Test func `a bit that flips anywhere costs the exit that it is in`() {
        let whole = records.flatMap(\.entry)
        for bit in 0..<whole.count * 8 {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            var left = records
            left.remove(at: bit / 8 / ExitRecord.size)
            #expect(ExitRecord.decode(bytes) == left)
        }
    }
}
