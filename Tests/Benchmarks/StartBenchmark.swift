import BenchmarkSupport
import Foundation
import Synchronization

/// How long one job takes to start, to say something and to end, on a node that does nothing else.
struct StartBenchmark {
    let node: Node
    /// What the names of the figures begin with.
    var name = "start.none"

    private struct Times {
        var reply: [Double] = []
        var firstByte: [Double] = []
        var completed: [Double] = []
    }

    func run() async throws -> [Figure] {
        var times = Times()
        var floors: [String: [Double]] = [:]
        for _ in 0..<20 { try await measure(into: nil) }
        // Interleaved, so that what else the machine does meets both.
        for _ in 0..<15 {
            for parts in ["all", "nonetwork", "nomounts"] {
                floors[parts, default: []] += try node.floor.sandboxes(10, parts: parts, work: node.work)
            }
            for _ in 0..<20 { times = try await measure(into: times) ?? times }
        }
        let floor = floors["all", default: []].median
        return [
            Figure("\(name).reply_ms", times.reply.median, "ms", floor: floor, better: .lower),
            Figure("\(name).first_byte_ms", times.firstByte.median, "ms", floor: floor, better: .lower),
            Figure("\(name).completed_ms", times.completed.median, "ms", floor: floor, better: .lower),
            Figure("start.floor.no_network_ms", floors["nonetwork", default: []].median, "ms", better: .lower),
            Figure("start.floor.no_mounts_ms", floors["nomounts", default: []].median, "ms", better: .lower),
        ]
    }

    @discardableResult
    private func measure(into times: Times?) async throws -> Times? {
        let clock = ContinuousClock()
        let first = Mutex<ContinuousClock.Instant?>(nil)
        let start = clock.now
        let id = try await node.start(Node.request(["/bin/echo", "here"]))
        let reply = clock.now
        try await node.follow(id) { _ in
            first.withLock { $0 = $0 ?? clock.now }
        }
        try await node.completion(of: id)
        let end = clock.now
        guard let byte = first.withLock({ $0 }) else { throw Wrong("job \(id) said nothing") }
        guard var times else { return nil }
        times.reply.append((reply - start).milliseconds)
        times.firstByte.append((byte - start).milliseconds)
        times.completed.append((end - start).milliseconds)
        return times
    }
}
