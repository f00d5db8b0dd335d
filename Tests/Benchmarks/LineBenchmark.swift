import BenchmarkSupport
import Foundation
import JobletAPI
import Synchronization

/// A million lines, a write each: are all of them stored, in their order?
struct LineBenchmark {
    let node: Node

    private static let lines = 1_000_000

    func run() async throws -> [Figure] {
        let lines = "\(LineBenchmark.lines)"
        let bare = try node.floor.cost(
            of: ["sh", "-c", "'\(node.floor.program)' lines \(lines) | wc -c"], work: node.work)
        let start = ContinuousClock.now
        let job = try await node.start(try node.floorRequest(["lines", lines]))
        let live = LineCount()
        try await node.follow(job) { live.add($0.payload) }
        let seconds = (ContinuousClock.now - start).seconds
        try await node.completion(of: job)
        try await node.storesAreLevel()
        let stored = LineCount()
        try await node.follow(job) { stored.add($0.payload) }
        for (name, count) in [("seen", live.inOrder), ("stored", stored.inOrder)] where count != LineBenchmark.lines {
            throw Wrong("\(count) of \(lines) lines were \(name) in order")
        }
        return [
            Figure(
                "log.stored_lines", Double(stored.inOrder), "lines", floor: Double(LineBenchmark.lines),
                better: .higher),
            Figure(
                "log.lines_per_s", Double(live.inOrder) / seconds, "lines/s",
                floor: Double(LineBenchmark.lines) / bare.seconds, better: .higher),
        ]
    }
}

/// Counts the lines that begin with their own number.
final class LineCount: Sendable {
    private struct State {
        var count = 0
        var rest = Data()
    }

    private let state = Mutex(State())

    /// Lines that came in their order, up to the first that did not.
    var inOrder: Int { state.withLock { $0.count } }

    func add(_ payload: Data) {
        state.withLock { state in
            state.rest.append(payload)
            var start = state.rest.startIndex
            while let end = state.rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let digits = state.rest[start..<min(start + 9, end)]
                let number = digits.reduce(0) { $0 * 10 + Int($1) - 0x30 }
                if number == state.count { state.count += 1 }
                start = state.rest.index(after: end)
            }
            state.rest = Data(state.rest[start...])
        }
    }
}
